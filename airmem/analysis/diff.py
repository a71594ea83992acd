"""Comparing two answers by role."""

from __future__ import annotations

from airmem.model.change import RoleChange, RoleSize, TreeChange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from airmem.model.report import ProcessRow

RoleKey: TypeAlias = "tuple[str | None, str]"


def diff_roles(before: tuple[ProcessRow, ...], after: tuple[ProcessRow, ...]) -> tuple[RoleChange, ...]:
    """Return the change of each role, in the order of the newer answer, roles that are gone last."""
    old, new = _by_role(before), _by_role(after)
    return tuple(
        RoleChange(
            component=key[0],
            role=key[1],
            before=sum_role(old[key]) if key in old else None,
            after=sum_role(new[key]) if key in new else None,
        )
        for key in dict.fromkeys([*new, *old])
    )


def sum_role(rows: Iterable[ProcessRow]) -> RoleSize:
    """Return the sums over some processes; those whose PSS is unknown are counted apart and not summed."""
    chosen = list(rows)
    read = [row.account for row in chosen if row.account.pss_bytes is not None]
    return RoleSize(
        process_count=len(chosen),
        rss_sum_bytes=sum(account.rss_bytes or 0 for account in read),
        pss_sum_bytes=sum(account.pss_bytes or 0 for account in read),
        uss_sum_bytes=sum(account.uss_bytes or 0 for account in read),
        unread_count=len(chosen) - len(read),
    )


def _by_role(rows: tuple[ProcessRow, ...]) -> dict[RoleKey, list[ProcessRow]]:
    groups: dict[RoleKey, list[ProcessRow]] = {}
    for row in rows:
        groups.setdefault((row.component, row.role), []).append(row)
    return groups


def diff_trees(
    taken_at_seconds: float, hostname: str, before: tuple[ProcessRow, ...], after: tuple[ProcessRow, ...]
) -> TreeChange:
    """Return the change of a whole tree against an earlier answer, taken then and there."""
    return TreeChange(
        before_taken_at_seconds=taken_at_seconds,
        before_hostname=hostname,
        roles=diff_roles(before, after),
        total=RoleChange(component=None, role="all", before=sum_role(before), after=sum_role(after)),
    )
