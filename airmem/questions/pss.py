"""Whose memory is it?"""

from __future__ import annotations

from airmem.analysis.totals import sum_tree
from airmem.collect import clock
from airmem.collect.sockets import LiveListeners
from airmem.collect.source import open_source
from airmem.collect.tree import DEPTHS, collect_tree
from airmem.errors import NotMeasurable, NotPermitted, ProcessGone
from airmem.model.noun import replace
from airmem.model.report import Head, ProcessRow, PssReport
from airmem.rules.asking import repeat_command
from airmem.rules.gaps import DENIED, UNMEASURABLE
from airmem.rules.memory import check_memory
from airmem.services.detect import detect_roles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from airmem.collect.source import Source
    from airmem.model.change import TreeChange
    from airmem.model.gap import Gap
    from airmem.model.lineup import LinedUpMapping
    from airmem.model.listeners import Listeners
    from airmem.model.selection import Selection
    from airmem.model.sharing import TreeSharing
    from airmem.model.snapshot import TreeSnapshot

Earlier: TypeAlias = "tuple[float, str, tuple[ProcessRow, ...]]"
"""An earlier answer: taken at (seconds since 1970), hostname, processes."""

__all__ = ["DEPTHS", "answer_pss", "refuse_unread"]


def answer_pss(
    root_pid: int,
    depth: str = "auto",
    *,
    with_exclusive: bool = False,
    with_mappings: bool = False,
    selection: Selection | None = None,
    earlier: dict[str, Any] | None = None,
    source: Source | None = None,
) -> PssReport:
    """Return the memory of a process and its descendants, and with whom each shares it.

    `depth` is one of DEPTHS; `with_exclusive` needs pages, `with_mappings` mappings, and each asks for it.
    `earlier` is a JSON document of the same question, to compare with. `source` is the running system by default.
    Errors: ProcessGone, NotPermitted when the process asked for cannot be seen; UsageProblem for a wrong `earlier`.
    """
    began = clock.monotonic_seconds()
    before = None if earlier is None else _decode(earlier)
    chosen = "mappings" if with_mappings else "pages" if with_exclusive and depth == "auto" else depth
    with_users = selection is not None and selection.user_id is not None
    reader = source or open_source()
    again = _again(reader, root_pid, depth, with_exclusive, with_mappings)
    try:
        snapshot = collect_tree(reader, root_pid, chosen, with_users)
    except NotPermitted:
        from airmem.questions.advice import explain_hidden  # noqa: PLC0415  # only when something is refused

        raise explain_hidden(reader, root_pid, again) from None
    sharing = _sharing(snapshot, with_exclusive)
    rows = _rows(snapshot, sharing, LiveListeners(reader))
    tree = sum_tree(
        rows, sharing, snapshot.cgroup, snapshot.remainder, missed=_has_unseen(snapshot, sharing), depth=chosen
    )
    return PssReport(
        head=Head(
            command="pss",
            taken_at_seconds=snapshot.taken_at_seconds,
            took_seconds=clock.took_seconds(reader, began),
            host=snapshot.host,
            origin=reader.origin,
        ),
        depth=_overall_depth(rows),
        component=rows[0].component,
        tree=tree,
        cgroup=snapshot.cgroup,
        processes=_select(rows, selection),
        gaps=_advise(reader, snapshot, sharing, with_exclusive, again, role_gaps=_role_gaps(rows, selection)),
        findings=check_memory(rows, tree, snapshot.cgroup),
        lineup=_line_up(snapshot) if with_mappings else None,
        change=None if before is None else _change(rows, before),
    )


def refuse_unread(report: PssReport) -> None:
    """Raise what kept the process that was asked for from being read: ProcessGone, NotPermitted, NotMeasurable."""
    for gap in report.gaps:
        if gap.pid == report.tree.root_pid and gap.fact in ("pss_bytes", "memory", "process"):
            if gap.reason in DENIED:
                raise NotPermitted(gap.detail, gap.remedy)
            if gap.reason == "gone":
                raise ProcessGone(gap.detail, "Look for its successor with: airmem ps")
            if gap.reason in UNMEASURABLE:
                raise NotMeasurable(gap.detail, gap.remedy)


def _again(source: Source, root_pid: int, depth: str, with_exclusive: bool, with_mappings: bool) -> str:
    """Return the command that asks the same again."""
    deeper = "" if depth == "auto" else f" --depth {depth}"
    options = f"{deeper}{' --exclusive' * with_exclusive}{' --mappings' * with_mappings}"
    return repeat_command(source.is_live, "pss", root_pid, options.strip())


def _advise(
    source: Source,
    snapshot: TreeSnapshot,
    sharing: TreeSharing | None,
    with_exclusive: bool,
    again: str,
    *,
    role_gaps: tuple[Gap, ...],
) -> tuple[Gap, ...]:
    gaps = (
        *snapshot.gaps,
        *_bound_gaps(snapshot),
        *_sharing_gaps(source, snapshot, sharing, with_exclusive),
        *role_gaps,
    )
    if not gaps:
        return ()
    from airmem.questions.advice import advise_here  # noqa: PLC0415  # most answers have none

    return advise_here(source, gaps, again, snapshot.processes[0].process.pid)


def _sharing(snapshot: TreeSnapshot, with_exclusive: bool) -> TreeSharing | None:
    if snapshot.page_tables is None:
        return None
    from airmem.analysis.sharing import attribute_sharing  # noqa: PLC0415  # imports numpy

    positions = {one.process.pid: position for position, one in enumerate(snapshot.processes)}
    parents = [positions.get(one.process.parent_pid) for one in snapshot.processes]
    found = attribute_sharing(snapshot.page_tables, [None, *parents[1:]], with_exclusive)
    orphans = {position for position, parent in enumerate(parents) if position and parent is None}
    return found if not orphans else _without_parts(found, orphans)


def _without_parts(sharing: TreeSharing, orphans: set[int]) -> TreeSharing:
    """Return the sharing without that of processes whose parent is missing: what they share with it is not known."""
    kept = tuple(
        (None, one[1]) if one is not None and position in orphans else one
        for position, one in enumerate(sharing.by_process)
    )
    return replace(sharing, by_process=kept)


def _rows(snapshot: TreeSnapshot, sharing: TreeSharing | None, listeners: Listeners) -> tuple[ProcessRow, ...]:
    roles = detect_roles([one.process for one in snapshot.processes], listeners)
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
    """Return the role in a tree that no detector knows: the root is the parent, what it forked are workers.

    Where nobody told who descends from whom, each is just a process.
    """
    if snapshot.processes[position].process.is_untold:
        return "process"
    if position == 0:
        return "parent"
    return "worker" if snapshot.processes[position].process.is_forked else "child"


def _overall_depth(rows: tuple[ProcessRow, ...]) -> str:
    """Return the depth that most processes were read at; each row tells its own."""
    depths = [row.depth for row in rows]
    return max(dict.fromkeys(depths), key=depths.count)


def _has_unseen(snapshot: TreeSnapshot, sharing: TreeSharing | None) -> bool:
    """Whether a process of the tree could not be seen at all, ended meanwhile, or lacks a page table for the union."""
    if sharing is not None:
        pairs = zip(sharing.by_process, snapshot.processes, strict=True)
        if any(joined is None and one.depth in ("rollup", "mappings") for joined, one in pairs):
            return True
    return any(gap.fact == "process" for gap in snapshot.gaps)


def _role_gaps(rows: tuple[ProcessRow, ...], selection: Selection | None) -> tuple[Gap, ...]:
    """Return a gap that names the roles that there are where the one that was asked for is none of them."""
    known = dict.fromkeys(word for row in rows for word in (row.role, row.component) if word)
    if selection is None or selection.role is None or selection.role in known:
        return ()
    detail = f"no process of the tree is a {selection.role!r}; there are: {', '.join(known)}"
    return (_gap(None, "processes", "no_such_role", detail),)


def _select(rows: tuple[ProcessRow, ...], selection: Selection | None) -> tuple[ProcessRow, ...]:
    if selection is None:
        return rows
    from airmem.analysis.select import select_rows  # noqa: PLC0415  # only with a filter

    return select_rows(rows, selection)


def _line_up(snapshot: TreeSnapshot) -> tuple[LinedUpMapping, ...]:
    from airmem.analysis.lineup import line_up  # noqa: PLC0415  # only with --mappings

    return line_up(snapshot.processes)


def _decode(earlier: dict[str, Any]) -> Earlier:
    from airmem.codec.pss import decode_pss  # noqa: PLC0415  # only with --diff

    return decode_pss(earlier)


def _change(rows: tuple[ProcessRow, ...], earlier: Earlier) -> TreeChange:
    from airmem.analysis.diff import diff_trees  # noqa: PLC0415  # only with --diff

    return diff_trees(*earlier, rows)


def _bound_gaps(snapshot: TreeSnapshot) -> tuple[Gap, ...]:
    if snapshot.remainder is None:
        return ()
    return tuple(
        _gap(None, "unreadable_bound_bytes", "bound_precondition", obstacle)
        for obstacle in snapshot.remainder.obstacles
    )


def _sharing_gaps(
    source: Source, snapshot: TreeSnapshot, sharing: TreeSharing | None, with_exclusive: bool
) -> tuple[Gap, ...]:
    gaps = []
    if sharing is not None:
        for position, (joined, one) in enumerate(zip(sharing.by_process, snapshot.processes, strict=True)):
            pid = one.process.pid
            if joined is None and one.depth in ("rollup", "mappings"):
                gaps.append(_untabled(source, snapshot, position))
            elif position in sharing.unsettled:
                detail = f"it changed at every look: pages and RSS differ by {sharing.unsettled[position]:+} bytes"
                gaps.append(_gap(pid, "sharing", "changing", detail))
        missing = next((one for one in snapshot.gaps if one.fact == "process"), None)
        if missing is not None:
            detail = "processes of the tree are missing: what others share with them is under outside"
            gaps.append(_gap(None, "sharing", missing.reason, detail))
        elif sharing.stray_bytes:
            detail = f"the kernel moved pages during each look: {sharing.stray_bytes} bytes are under outside for it"
            gaps.append(_gap(None, "sharing", "changing", detail))
    is_empty = sharing is not None and sharing.distinct_bytes is None
    if with_exclusive and not is_empty and (sharing is None or sharing.exclusive_bytes is None):
        if source.is_live:
            detail = "/proc/kpagecount or the page frames are hidden"
            gaps.append(_gap(None, "exclusive_bytes", "no_kpagecount", detail))
        else:
            detail = "how often each page is mapped in the whole system is not in the file"
            gaps.append(_gap(None, "exclusive_bytes", "not_captured", detail))
    return tuple(gaps)


def _untabled(source: Source, snapshot: TreeSnapshot, position: int) -> Gap:
    """Return why a process was not compared: its own page table, or else its parent's, could not be read."""
    from airmem.collect.access import explain_page_table  # noqa: PLC0415  # only when something is missing

    process = snapshot.processes[position].process
    reason, detail = explain_page_table(source, process)
    parent = next((one.process for one in snapshot.processes if one.process.pid == process.parent_pid), None)
    if reason == "page_table_unreadable" and parent is not None:
        of_parent = explain_page_table(source, parent)
        if of_parent[0] != reason:
            reason, detail = of_parent[0], f"its parent's page table could not be read: {of_parent[1]}"
    return _gap(process.pid, "sharing", reason, detail)


def _gap(pid: int | None, fact: str, reason: str, detail: str) -> Gap:
    from airmem.model.gap import Gap  # noqa: PLC0415  # most answers have none

    return Gap(pid=pid, fact=fact, reason=reason, detail=detail)
