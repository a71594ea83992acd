"""Sums over a tree, and the bound on what could not be read."""

from __future__ import annotations

from airmem.model.report import ProcessRow, TreeTotals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from airmem.model.cgroup import CgroupMemory
    from airmem.model.remainder import CgroupRemainder
    from airmem.model.sharing import TreeSharing


def sum_tree(
    rows: tuple[ProcessRow, ...],
    sharing: TreeSharing | None,
    cgroup: CgroupMemory | None,
    remainder: CgroupRemainder | None,
    *,
    missed: bool,
    depth: str = "rollup",
) -> TreeTotals:
    """Return the sums of a tree; `missed` tells that processes of it could not be seen at all.

    `depth` is what was asked for: at status nobody looks for a PSS, so that none is missing.
    """
    wanted = "rss_bytes" if depth == "status" else "pss_bytes"
    unreadable = [row for row in rows if getattr(row.account, wanted) is None and not _is_empty(row)]
    return TreeTotals(
        root_pid=rows[0].process.pid,
        process_count=len(rows),
        unreadable_count=len(unreadable),
        rss_sum_bytes=_known_sum(row.account.rss_bytes for row in rows),
        pss_sum_bytes=_known_sum(row.account.pss_bytes for row in rows),
        uss_sum_bytes=_known_sum(row.account.uss_bytes for row in rows),
        swap_pss_sum_bytes=_known_sum(row.account.swap_pss_bytes for row in rows),
        distinct_bytes=sharing.distinct_bytes if sharing else None,
        exclusive_bytes=sharing.exclusive_bytes if sharing else None,
        unreadable_bound_bytes=bound_unreadable(rows, cgroup, remainder),
        is_lower_bound=bool(unreadable) or missed,
        is_sharing_bound=sharing is not None and (bool(unreadable) or missed or sharing.stray_bytes > 0),
    )


def bound_unreadable(
    rows: tuple[ProcessRow, ...], cgroup: CgroupMemory | None, remainder: CgroupRemainder | None
) -> int | None:
    """Return at most how many bytes of anonymous and shared memory the unreadable processes hold, as PSS.

    What is charged to their control group, less the Pss_Anon and Pss_Shmem of all readable processes in it. Exact
    when all were born there (measured: 88 of 88 MB); None when a precondition fails (remainder.obstacles).
    """
    if remainder is None or remainder.obstacles or cgroup is None:
        return None
    if cgroup.anon_bytes is None or cgroup.shmem_bytes is None:
        return None
    readable = _sum(row.account.pss_anon_bytes for row in rows) + _sum(row.account.pss_shmem_bytes for row in rows)
    return max(0, cgroup.anon_bytes + cgroup.shmem_bytes - readable - remainder.outsiders_pss_bytes)


def _is_empty(row: ProcessRow) -> bool:
    """Whether a process certainly holds no memory: there is nothing that could not be read."""
    return row.process.is_zombie or row.process.is_kernel_thread


def _known_sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _sum(values: Iterable[int | None]) -> int:
    return sum(value for value in values if value is not None)
