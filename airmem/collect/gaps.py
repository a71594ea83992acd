"""Makes gaps. Apart, so that a look without gaps need not even import what a gap is."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.gap import Gap


def gap(pid: int | None, fact: str, reason: str, detail: str) -> Gap:
    """Return a gap: which fact of which process (None: of the whole tree) is missing, and why."""
    from airmem.model.gap import Gap  # noqa: PLC0415

    return Gap(pid=pid, fact=fact, reason=reason, detail=detail)
