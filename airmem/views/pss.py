"""`airmem pss` as a document: the processes, what may be summed, and what follows."""

from __future__ import annotations

from airmem.rules.asking import next_command
from airmem.rules.gaps import REFUSALS
from airmem.units import format_bytes, format_ratio, format_seconds
from airmem.views.change import view_change
from airmem.views.document import Cell, Column, Document, Facts, Paragraph, Row, Table
from airmem.views.judgement import view_findings, view_gaps, view_next
from airmem.views.lineup import view_lineup
from airmem.views.title import short_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from airmem.model.cgroup import CgroupMemory
    from airmem.model.process import Process
    from airmem.model.report import ProcessRow, PssReport

PssByKey: TypeAlias = "dict[tuple[int, int], int | None]"
"""The PSS in bytes of each process, by pid and start in ticks."""

DEPTH_MEANINGS = {
    "pages": "the kernel's sums, and page tables compared frame by frame",
    "mappings": "the kernel's account of each mapping (smaps)",
    "rollup": "the kernel's own sums (smaps_rollup); with whom memory is shared is not known",
    "status": "resident size only (status): it counts shared memory in full",
    "none": "nothing could be read",
}

EXACT = ": who shares with whom is exact"
BOUND = "; not of all processes, so that SIBLINGS is at least and OUTSIDE at most what is true"
BOUND_SIGNS = {"siblings_bytes": ">= ", "outside_bytes": "<= "}
"""How a column is marked whose numbers are bounds, since processes of the tree are missing."""

ROLE = Column(name="role", header="ROLE", kind="text", meaning="parent, worker, or the service's own word")
PID = Column(name="pid", header="PID", kind="text", meaning="process id, as seen from here")
TITLE = Column(name="title", header="TITLE", kind="title", meaning="command line without secrets")
CHANGE = Column(name="pss_change_bytes", header="dPSS", kind="change", meaning="PSS against the look before")
DEPTH = Column(name="depth", header="DEPTH", kind="text", meaning="how this process was read")
BYTES = {
    "rss_bytes": ("RSS", "resident memory, shared pages counted in full"),
    "pss_bytes": ("PSS", "resident memory, shared pages divided by the number of their mappings"),
    "uss_bytes": ("USS", "pages that nobody else maps: what ending this process alone frees"),
    "parent_bytes": ("PARENT", "pages that its parent maps, too"),
    "siblings_bytes": ("SIBLINGS", "other pages that another process of the tree maps, too"),
    "outside_bytes": ("OUTSIDE", "pages shared only with processes outside the tree"),
    "private_clean_bytes": ("PRIV CL", "private pages that equal their file"),
    "private_dirty_bytes": ("PRIV DI", "private pages that were written"),
    "shared_clean_bytes": ("SHAR CL", "shared pages that equal their file"),
    "shared_dirty_bytes": ("SHAR DI", "shared pages that were written, before a fork for example"),
    "pss_anon_bytes": ("ANON", "PSS of anonymous memory: heap and stacks"),
    "pss_file_bytes": ("FILE", "PSS of mapped files: programs and libraries"),
    "pss_shmem_bytes": ("SHMEM", "PSS of shared memory and tmpfs files"),
    "swap_bytes": ("SWAP", "swapped out"),
    "swap_pss_bytes": ("SWAPPSS", "swapped out, shared pages divided"),
}
IDENTITY = {
    "pid": "process id, as seen from here",
    "parent_pid": "its parent's process id",
    "start_ticks": "when it started, in clock ticks after boot: with the pid, its identity",
    "depth": "how this process was read",
    "role": "parent, worker, or the service's own word",
    "component": "the part of a service: scheduler, celery-worker ...; empty in a tree that nobody knows",
}
SHARING = ("parent_bytes", "siblings_bytes", "outside_bytes")
BRIEF = ("rss_bytes", "pss_bytes", "uss_bytes")
KINDS = ("pss_anon_bytes", "pss_file_bytes", "pss_shmem_bytes")


def view_pss(
    report: PssReport, verbose: bool = False, top_count: int | None = None, earlier: PssReport | None = None
) -> Document:
    """Return the document; `verbose` adds every column, `earlier` (the look before) what changed since."""
    names = _chosen_columns(report, verbose)
    before = None if earlier is None else _pss_by_key(earlier)
    return Document(
        blocks=(
            Paragraph(text=_headline(report), style="strong"),
            Paragraph(text=_depth_line(report), style="faint"),
            _processes(report, names, verbose, before),
            *_lineup(report, verbose, top_count),
            *([view_change(report.change)] if report.change is not None else []),
            Facts(lines=tuple(_totals(report))),
            *view_findings(report.findings),
            *view_gaps(report.gaps),
            *view_next(_next_command(report)),
        )
    )


def view_table(report: PssReport) -> Table:
    """Return the whole table for programs: the mappings if they were asked for, else the processes."""
    if report.lineup is not None:
        return view_lineup(report.lineup, verbose=True, top_count=len(report.lineup) or 1)
    columns = (*(_column_of(name) for name in IDENTITY), *(_column(name) for name in BYTES), TITLE)
    rows = [
        Row(
            cells=(
                *_identity(row.process),
                *(row.depth, row.role, row.component),
                *(value_of(row, name) for name in BYTES),
                row.process.title,
            )
        )
        for row in report.processes
    ]
    return Table(name="processes", columns=columns, rows=tuple(rows))


def _identity(process: Process) -> tuple[Cell, Cell, Cell]:
    """Return pid, parent and start; what a file did not tell is unknown."""
    if process.is_untold:
        return process.pid or None, None, None
    return process.pid, process.parent_pid, process.start_ticks


def _lineup(report: PssReport, verbose: bool, top_count: int | None) -> list[Table]:
    return [] if report.lineup is None else [view_lineup(report.lineup, verbose, top_count)]


def _pss_by_key(report: PssReport) -> PssByKey:
    return {(row.process.pid, row.process.start_ticks): row.account.pss_bytes for row in report.processes}


def _processes(report: PssReport, names: tuple[str, ...], verbose: bool, before: PssByKey | None) -> Table:
    mixed = verbose or any(row.depth != report.depth for row in report.processes)
    signs = BOUND_SIGNS if report.tree.is_sharing_bound else {}
    columns = [ROLE, PID, *(_column(name, signs.get(name, "")) for name in names)]
    columns += [CHANGE] * (before is not None) + [DEPTH] * mixed + [TITLE]
    rows = []
    for row in report.processes:
        change = [] if before is None else [_change(row, before)]
        depth = [row.depth] * mixed
        values = [value_of(row, name) for name in names]
        cells = (row.role, str(row.process.pid or "?"), *values, *change, *depth, short_title(row.process))
        rows.append(Row(cells=cells, style="strong" if any(change) else ""))
    return Table(name="processes", columns=tuple(columns), rows=tuple(rows))


def value_of(row: ProcessRow, name: str) -> int | None:
    """Return one of the numbers of BYTES for a process."""
    if name in SHARING:
        return None if row.sharing is None else int(getattr(row.sharing, name))
    value: int | None = getattr(row.account, name)
    return value


def _column_of(name: str) -> Column:
    return Column(name=name, header=name.upper(), kind="text", meaning=IDENTITY[name])


def _column(name: str, sign: str = "") -> Column:
    header, meaning = BYTES[name]
    return Column(name=name, header=sign + header, kind="bytes", meaning=meaning)


def _chosen_columns(report: PssReport, verbose: bool) -> tuple[str, ...]:
    if verbose:
        return tuple(BYTES)
    shared = SHARING if any(row.sharing is not None for row in report.processes) else KINDS
    swapped = any(row.account.swap_bytes for row in report.processes)
    return BRIEF + shared + (("swap_pss_bytes",) if swapped else ())


def _change(row: ProcessRow, before: PssByKey) -> Cell:
    key = (row.process.pid, row.process.start_ticks)
    if key not in before:
        return "new"
    old = before[key]
    return None if old is None or row.account.pss_bytes is None else row.account.pss_bytes - old


def _headline(report: PssReport) -> str:
    count = report.tree.process_count
    component = f"{report.component} " if report.component else ""
    took = format_seconds(report.head.took_seconds)
    if report.processes and report.processes[0].process.is_untold:
        who = f"{count} processes" if count > 1 else f"{component}{report.tree.root_pid or 'a process'}"
        return f"{who}, as the file tells, read in {took}"
    shown = "" if len(report.processes) == count else f", {len(report.processes)} of them shown"
    below = f"{count - 1} descendant{'s' if count != 2 else ''}" if count > 1 else "no descendants"
    if count == 1 and any(gap.fact == "process" and gap.pid != report.tree.root_pid for gap in report.gaps):
        below = "no descendants that could be read"
    return f"{component}{report.tree.root_pid} and {below}{shown}, read in {took}"


def _depth_line(report: PssReport) -> str:
    depths = {row.depth for row in report.processes} - {"none"}
    where = f"Depth {report.depth} for most processes (see DEPTH)" if len(depths) > 1 else f"Depth {report.depth}"
    certain = "" if report.depth != "pages" else BOUND if report.tree.is_sharing_bound else EXACT
    return f"{where}: {DEPTH_MEANINGS[report.depth]}{certain}. Sizes in MiB."


def _totals(report: PssReport) -> list[tuple[str, str, str]]:
    tree = report.tree
    least = ">= " if tree.is_lower_bound else ""
    lines = [
        ("Sum of PSS", _at_least(least, tree.pss_sum_bytes), "what the tree takes: shared pages divided"),
        ("Sum of USS", _at_least(least, tree.uss_sum_bytes), "pages that one process alone maps"),
    ]
    if tree.distinct_bytes is not None:
        lines.append(("Distinct pages", least + format_bytes(tree.distinct_bytes), "each page of the tree once"))
    if tree.exclusive_bytes is not None:
        lines.append(
            (
                "Exclusive pages",
                least + format_bytes(tree.exclusive_bytes),
                "mapped by nobody else: ending the tree frees them",
            )
        )
    if tree.swap_pss_sum_bytes:
        lines.append(("Sum of SwapPSS", least + format_bytes(tree.swap_pss_sum_bytes), "swapped out, on top"))
    if tree.unreadable_bound_bytes is not None:
        remark = f"at most, for {tree.unreadable_count} unreadable together (anonymous and shared)"
        lines.append(("Unreadable", format_bytes(tree.unreadable_bound_bytes), remark))
    ratio = ""
    if tree.rss_sum_bytes is not None and tree.pss_sum_bytes and not tree.is_lower_bound:
        ratio = f"{format_ratio(tree.rss_sum_bytes / tree.pss_sum_bytes)} the PSS: "
    seen = least if any(gap.fact in ("process", "rss_bytes") for gap in report.gaps) else ""
    lines.append(("Sum of RSS", _at_least(seen, tree.rss_sum_bytes), f"{ratio}do not add up what top shows"))
    return lines + _cgroup_lines(report.cgroup)


def _at_least(sign: str, size_bytes: int | None) -> str:
    """Return a sum, marked where it is a lower bound; an unknown one is just unknown."""
    return format_bytes(size_bytes) if size_bytes is None else sign + format_bytes(size_bytes)


def _cgroup_lines(cgroup: CgroupMemory | None) -> list[tuple[str, str, str]]:
    if cgroup is None:
        return []
    limit = f"of {format_bytes(cgroup.limit_bytes)}" if cgroup.limit_bytes is not None else "no limit"
    kinds = (("anon", cgroup.anon_bytes), ("file", cgroup.file_bytes), ("shmem", cgroup.shmem_bytes))
    parts = [f"{name} {format_bytes(size)}" for name, size in (*kinds, ("slab", cgroup.slab_bytes)) if size is not None]
    kills = f"; {cgroup.oom_kill_count} OOM kills" if cgroup.oom_kill_count else ""
    return [
        (f"Cgroup v{cgroup.version}", format_bytes(cgroup.usage_bytes), f"{limit}, {cgroup.path}"),
        ("  working set", format_bytes(cgroup.working_set_bytes), ", ".join(parts) + kills),
    ]


def _next_command(report: PssReport) -> str:
    is_refused = any(gap.fact == "pss_bytes" and gap.reason in REFUSALS for gap in report.gaps)
    if is_refused and not report.head.origin:
        return next_command("", "doctor", report.tree.root_pid)
    if len(report.processes) > 1 and report.depth in ("pages", "rollup"):
        return next_command(report.head.origin, "pss", report.tree.root_pid, "--mappings")
    return ""
