"""What a person should be told about a tree's memory."""

from __future__ import annotations

from airmem.model.finding import Finding
from airmem.units import GIB, MIB, format_bytes, format_ratio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.cgroup import CgroupMemory
    from airmem.model.report import ProcessRow, TreeTotals


OVERCOUNT_RATIO = 1.5
"""From here on the sum of RSS misleads enough to say so."""

LIMIT_RATIO = 0.9
"""A working set this close to its limit is at risk of an OOM kill."""

COPIED_RATIO = 0.5
COPIED_BYTES = 64 * MIB
"""Forked workers whose own pages are more than this part of their memory, and this much together, share badly."""

STALL_BYTES = 8 * GIB
"""A process above this size is held up by a read: mmap and munmap wait 0.2 s and more (27 ms for each GB, measured)."""


def check_memory(rows: tuple[ProcessRow, ...], tree: TreeTotals, cgroup: CgroupMemory | None) -> tuple[Finding, ...]:
    """Return the findings about a tree's memory, the gravest first."""
    found = [
        *check_oom_kills(cgroup),
        *check_limit(cgroup),
        *check_copied(rows),
        *check_overcount(tree),
        *check_stall(rows),
    ]
    return tuple(sorted(found, key=lambda finding: ("critical", "warning", "note").index(finding.severity)))


def check_overcount(tree: TreeTotals) -> list[Finding]:
    """AM101: the sum of RSS, which top and ps suggest, is far above what the tree takes."""
    if tree.is_lower_bound or not tree.pss_sum_bytes or tree.process_count < 2:
        return []
    ratio = (tree.rss_sum_bytes or 0) / tree.pss_sum_bytes
    if ratio < OVERCOUNT_RATIO:
        return []
    return [
        Finding(
            code="AM101",
            severity="note",
            pid=None,
            summary=f"Summed RSS overstates this tree {format_ratio(ratio)}",
            evidence=f"RSS {format_bytes(tree.rss_sum_bytes)}, PSS {format_bytes(tree.pss_sum_bytes)}",
            remedy="Judge by the sum of PSS; what top shows per process cannot be added up",
        )
    ]


def check_limit(cgroup: CgroupMemory | None) -> list[Finding]:
    """AM102: the working set of the control group is close to its limit."""
    if cgroup is None or not cgroup.limit_bytes or cgroup.working_set_bytes is None:
        return []
    ratio = cgroup.working_set_bytes / cgroup.limit_bytes
    if ratio < LIMIT_RATIO:
        return []
    return [
        Finding(
            code="AM102",
            severity="warning",
            pid=None,
            summary=f"The control group is at {ratio:.0%} of its memory limit",
            evidence=f"{format_bytes(cgroup.working_set_bytes)} of {format_bytes(cgroup.limit_bytes)} in {cgroup.path}",
            remedy="Raise the limit or run fewer workers before the kernel kills one",
        )
    ]


def check_oom_kills(cgroup: CgroupMemory | None) -> list[Finding]:
    """AM103: the kernel has killed processes of the control group for memory."""
    if cgroup is None or not cgroup.oom_kill_count:
        return []
    return [
        Finding(
            code="AM103",
            severity="warning",
            pid=None,
            summary=f"The kernel has killed {cgroup.oom_kill_count} process(es) of this control group for memory",
            evidence=f"oom_kill of {cgroup.path}",
            remedy="A worker that vanished without a trace in the logs may be one of them; see the kernel log",
        )
    ]


def check_copied(rows: tuple[ProcessRow, ...]) -> list[Finding]:
    """AM104: forked workers have made most of their memory their own, so that forking saves little."""
    forked = [row for row in rows[1:] if row.process.is_forked and row.account.uss_bytes is not None]
    rss_bytes = sum(row.account.rss_bytes or 0 for row in forked)
    uss_bytes = sum(row.account.uss_bytes or 0 for row in forked)
    if not rss_bytes or uss_bytes < COPIED_BYTES or uss_bytes / rss_bytes < COPIED_RATIO:
        return []
    return [
        Finding(
            code="AM104",
            severity="warning",
            pid=None,
            summary=f"{len(forked)} forked processes hold {uss_bytes / rss_bytes:.0%} of their memory alone",
            evidence=f"USS {format_bytes(uss_bytes)} of RSS {format_bytes(rss_bytes)}",
            remedy="Find out whether they copied their parent's pages or allocated: compare with a freshly forked one",
        )
    ]


def check_stall(rows: tuple[ProcessRow, ...]) -> list[Finding]:
    """AM105: reading the memory of a very large process holds it up."""
    return [
        Finding(
            code="AM105",
            severity="warning",
            pid=row.process.pid,
            summary=f"Each look holds up process {row.process.pid} ({format_bytes(row.account.rss_bytes)})",
            evidence="while its page tables are walked, its mmap and munmap wait: about 27 ms for each GB",
            remedy="Repeat with --depth status, or not at all while it serves requests",
        )
        for row in rows
        if (row.account.rss_bytes or 0) > STALL_BYTES and row.depth in ("rollup", "mappings", "pages")
    ]
