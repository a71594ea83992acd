"""One judgement about what was measured."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class Finding:
    """A judgement with a stable code (AM101), how grave it is, its evidence and what to do about it."""

    code: str
    severity: str
    pid: int | None
    summary: str
    evidence: str
    remedy: str
