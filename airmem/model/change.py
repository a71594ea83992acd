"""Two answers compared."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class RoleSize:
    """The processes of one role in one answer: how many, and their sums in bytes over those that could be read."""

    process_count: int
    rss_sum_bytes: int
    pss_sum_bytes: int
    uss_sum_bytes: int
    unread_count: int


@noun
class RoleChange:
    """One role before and after; None where the role was not there."""

    component: str | None
    role: str
    before: RoleSize | None
    after: RoleSize | None


@noun
class TreeChange:
    """A tree against an earlier answer, matched by role since pids change when a service restarts."""

    before_taken_at_seconds: float
    before_hostname: str
    roles: tuple[RoleChange, ...]
    total: RoleChange
