"""Which processes of a tree to show, and in which order."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class Selection:
    """Filters, all of which a shown process meets; the totals of a tree stay those of all its processes.

    `name` is searched in the title, whatever its case. `sort` names a number (pss_bytes), largest first, or pid; None
    keeps the tree's order. `top_count` shows only the first ones.
    """

    role: str | None = None
    name: str | None = None
    user_id: int | None = None
    least_pss_bytes: int | None = None
    sort: str | None = None
    top_count: int | None = None
