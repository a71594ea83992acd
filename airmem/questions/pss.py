"""Whose memory is it?"""

from __future__ import annotations

from airmem.analysis.totals import sum_tree
from airmem.collect import clock
from airmem.collect.tree import collect_tree
from airmem.kernel.reader import KernelReader
from airmem.model.gap import Gap
from airmem.model.pages import TreeSharing
from airmem.model.report import Head, ProcessRow, PssReport
from airmem.model.snapshot import TreeSnapshot
from airmem.rules.gaps import advise
from airmem.rules.memory import check_memory
from airmem.services.detect import detect_roles


def answer_pss(
    reader: KernelReader, root_pid: int, depth: str, with_exclusive: bool = False, with_users: bool = False
) -> PssReport:
    """Return the memory of a process and its descendants, and with whom each shares it.

    Errors: ProcessGone, NotPermitted as collect_tree.
    """
    began = clock.monotonic_seconds()
    snapshot = collect_tree(reader, root_pid, "pages" if with_exclusive else depth, with_users)
    sharing = _sharing(snapshot, with_exclusive)
    rows = _rows(snapshot, sharing)
    missed = any(gap.fact == "process" and gap.reason != "gone" for gap in snapshot.gaps)
    tree = sum_tree(rows, sharing, snapshot.cgroup, snapshot.remainder, missed)
    return PssReport(
        head=Head(
            command="pss",
            taken_at_seconds=snapshot.taken_at_seconds,
            took_seconds=clock.monotonic_seconds() - began,
            host=snapshot.host,
        ),
        depth=_overall_depth(rows),
        tree=tree,
        cgroup=snapshot.cgroup,
        processes=rows,
        gaps=advise((*snapshot.gaps, *_bound_gaps(snapshot), *_sharing_gaps(snapshot, sharing, with_exclusive))),
        findings=check_memory(rows, tree, snapshot.cgroup),
    )


def _sharing(snapshot: TreeSnapshot, with_exclusive: bool) -> TreeSharing | None:
    if snapshot.page_tables is None:
        return None
    from airmem.analysis.sharing import attribute_sharing  # noqa: PLC0415  # imports numpy

    positions = {one.process.pid: position for position, one in enumerate(snapshot.processes)}
    parents = [positions.get(one.process.parent_pid) for one in snapshot.processes]
    return attribute_sharing(snapshot.page_tables, [None, *parents[1:]], with_exclusive)


def _rows(snapshot: TreeSnapshot, sharing: TreeSharing | None) -> tuple[ProcessRow, ...]:
    roles = detect_roles([one.process for one in snapshot.processes])
    rows = []
    for position, one in enumerate(snapshot.processes):
        joined = sharing.by_process[position] if sharing else None
        role = roles.get(one.process.pid)
        rows.append(
            ProcessRow(
                process=one.process,
                depth="pages" if joined and joined[0] else one.depth,
                role=role.role if role else _plain_role(snapshot, position),
                component=role.component if role else None,
                account=joined[1] if joined else one.account,
                sharing=joined[0] if joined else None,
                user_id=one.user_id,
            )
        )
    return tuple(rows)


def _plain_role(snapshot: TreeSnapshot, position: int) -> str:
    """Return the role in a tree that no detector knows: the root is the parent, what it forked are workers."""
    if position == 0:
        return "parent"
    return "worker" if snapshot.processes[position].process.is_forked else "child"


def _overall_depth(rows: tuple[ProcessRow, ...]) -> str:
    """Return the depth that most processes were read at; each row tells its own."""
    depths = [row.depth for row in rows]
    return max(dict.fromkeys(depths), key=depths.count)


def _bound_gaps(snapshot: TreeSnapshot) -> tuple[Gap, ...]:
    obstacles = snapshot.remainder.obstacles if snapshot.remainder else ()
    return tuple(
        Gap(pid=None, fact="unreadable_bound_bytes", reason="bound_precondition", detail=obstacle)
        for obstacle in obstacles
    )


def _sharing_gaps(snapshot: TreeSnapshot, sharing: TreeSharing | None, with_exclusive: bool) -> tuple[Gap, ...]:
    if sharing is None:
        return ()
    gaps = []
    for position, (joined, one) in enumerate(zip(sharing.by_process, snapshot.processes, strict=True)):
        if joined is None and one.account.pss_bytes is not None:
            detail = "its page table, or its parent's, could not be read"
            gaps.append(Gap(pid=one.process.pid, fact="sharing", reason="page_table_unreadable", detail=detail))
        elif position in sharing.unsettled:
            detail = f"it changed at every look: its pages and its RSS differ by {sharing.unsettled[position]:+} bytes"
            gaps.append(Gap(pid=one.process.pid, fact="sharing", reason="changing", detail=detail))
    if with_exclusive and sharing.exclusive_bytes is None:
        detail = "/proc/kpagecount cannot be read"
        gaps.append(Gap(pid=None, fact="exclusive_bytes", reason="no_kpagecount", detail=detail))
    return tuple(gaps)
