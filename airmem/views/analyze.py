"""`airmem analyze` as a document: the files, what their memory consists of, and the four things to look for."""

from __future__ import annotations

from airmem.units import format_bytes, format_seconds
from airmem.views.allocation_diff import view_diff
from airmem.views.document import Column, Document, Facts, Paragraph, Row, Table
from airmem.views.judgement import view_findings, view_gaps, view_next

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.allocation import AllocationTotals, AnalyzeReport, CaptureFile, DistributionSum, FrameSum
    from airmem.views.document import Block, Cell

MOST_FILES = 12
NOWHERE = "(no line of the application)"
SITES = ("/site-packages/", "/dist-packages/")

PEAK = Column(name="peak_bytes", header="PEAK", kind="bytes", meaning="held when its process's heap was largest")
LEAKED = Column(name="leaked_bytes", header="KEPT", kind="bytes", meaning="not freed when recording ended")
CHURN = Column(name="churn_bytes", header="CHURN", kind="bytes", meaning="freed at once, summed over the whole time")
COUNT = Column(name="peak_count", header="COUNT", kind="count", meaning="allocations held at the peak")
PART = Column(name="part_ratio", header="PART", kind="part", meaning="of the whole peak")
SURE = Column(name="is_uncertain", header="", kind="text", meaning="~: below what the default mode can tell apart")
DISTRIBUTION = Column(name="distribution", header="DISTRIBUTION", kind="title", meaning="installed package, or folder")
KIND = Column(name="kind", header="KIND", kind="text", meaning="core, task-sdk, provider, package, dag, own, stdlib")
WHERE = Column(name="where", header="WHERE", kind="title", meaning="function, file and line")
THROUGH = Column(name="packages", header="THROUGH", kind="text", meaning="the packages that allocated for it")
VERDICT = Column(name="verdict", header="VERDICT", kind="text", meaning="whether the file tells everything")
ROLE = Column(name="role", header="ROLE", kind="text", meaning="parent, or worker: a forked process")
PID = Column(name="pid", header="PID", kind="text", meaning="process id in the traced program's own view")
SECONDS = Column(name="duration_seconds", header="TIME", kind="seconds", meaning="for how long it was recorded")
PATH = Column(name="path", header="FILE", kind="title", meaning="the capture")


def view_analyze(report: AnalyzeReport, top_count: int = 15, verbose: bool = False) -> Document:
    """Return the document; each table has at most `top_count` rows, `verbose` shows all files."""
    return Document(
        blocks=(
            Paragraph(text=_headline(report), style="strong"),
            Paragraph(text=_mode_line(report), style="faint"),
            view_files(report.files, len(report.files) if verbose else MOST_FILES),
            Facts(lines=tuple(_totals(report.totals))),
            *([view_diff(report.diff, top_count)] if report.diff is not None else []),
            view_distributions(report, top_count),
            _frames_table(report, "by_application_frame", "Application lines: what they led to at the peak", top_count),
            _frames_table(report, "top_functions", "High-allocation functions: innermost, at the peak", top_count),
            *_retention(report, top_count),
            *_churn(report, top_count),
            *_allocators(report),
            *view_findings(report.findings),
            *view_gaps(report.gaps),
            *view_next(_next_command(report)),
        )
    )


def view_table(report: AnalyzeReport, name: str) -> Table:
    """Return one whole table for programs: distributions, frames, functions, files or timeline."""
    count = 1 << 30
    if name == "frames":
        return _frames_table(report, "by_application_frame", "", count, is_whole=True)
    if name == "functions":
        return _frames_table(report, "top_functions", "", count, is_whole=True)
    if name == "files":
        return view_files(report.files, count)
    if name == "timeline":
        return _timeline(report)
    if name == "diff" and report.diff is not None:
        return view_diff(report.diff, count)
    return view_distributions(report, count)


def view_files(files: tuple[CaptureFile, ...], most: int) -> Table:
    """Return the files, those that are not whole first when not all are shown."""
    shown = files if len(files) <= most else sorted(files, key=lambda one: (one.verdict == "ended_early", one.role))
    rows = [
        Row(
            cells=(
                one.verdict.replace("_", " "),
                one.role,
                str(one.pid) if one.pid is not None else None,
                one.duration_seconds,
                one.peak_bytes,
                one.leaked_bytes,
                one.path,
            ),
            style="" if one.verdict in ("complete", "aggregated", "ended_early") else "strong",
        )
        for one in shown[:most]
    ]
    more = f" ({most} of {len(files)}; -v shows all)" if len(files) > most else ""
    return Table(
        name="files",
        columns=(VERDICT, ROLE, PID, SECONDS, PEAK, LEAKED, PATH),
        rows=tuple(rows),
        caption=f"Files{more}",
    )


def view_distributions(report: AnalyzeReport, top_count: int) -> Table:
    """Return what each distribution holds, largest peak first; the rest is one row, so that the column adds up."""
    shown, rest = report.by_distribution[:top_count], report.by_distribution[top_count:]
    total = report.totals.peak_bytes
    rows = [
        Row(
            cells=(*_sizes(one), _part(one.peak_bytes, total), _mark(one.is_uncertain), one.kind, one.distribution),
            style="faint" if one.is_uncertain else "",
        )
        for one in shown
    ]
    if rest:
        peak = sum(one.peak_bytes for one in rest)
        kept = sum(one.leaked_bytes for one in rest)
        churn = None if report.totals.churn_bytes is None else sum(one.churn_bytes or 0 for one in rest)
        cells = (peak, kept, churn, _part(peak, total), "", "", f"{len(rest)} others")
        rows.append(Row(cells=cells, style="faint"))
    return Table(
        name="by_distribution",
        columns=(PEAK, LEAKED, CHURN, PART, SURE, KIND, DISTRIBUTION),
        rows=tuple(rows),
        caption="By distribution: the innermost frame outside the standard library",
    )


def short_path(path: str) -> str:
    """Return a path without the folder of installed packages."""
    for marker in SITES:
        if marker in path:
            return path.rpartition(marker)[2]
    folder, standard, inside = path.partition("/lib/python3")
    return inside.partition("/")[2] if folder and standard else path


def where_of(function: str, file: str, line: int) -> str:
    """Return a place as text: `mk big.py:5`."""
    if not file and not function:
        return NOWHERE
    place = f"{short_path(file)}:{line}" if line else short_path(file)
    return f"{function} {place}".strip()


def _where(one: FrameSum, table: str) -> str:
    where = where_of(one.place.function, one.place.file, one.place.line)
    return "(functions below 4 KiB)" if where == NOWHERE and table == "top_functions" else where


def _frames_table(report: AnalyzeReport, name: str, caption: str, top_count: int, *, is_whole: bool = False) -> Table:
    frames: tuple[FrameSum, ...] = getattr(report, name)
    rows = [
        Row(
            cells=(
                *_sizes(one),
                one.peak_count,
                _mark(one.is_uncertain),
                ", ".join(one.packages) if is_whole else ", ".join(one.packages[:2]),
                _where(one, name),
            ),
            style="faint" if one.is_uncertain else "",
        )
        for one in frames[:top_count]
    ]
    return Table(
        name=name, columns=(PEAK, LEAKED, CHURN, COUNT, SURE, THROUGH, WHERE), rows=tuple(rows), caption=caption
    )


def _retention(report: AnalyzeReport, top_count: int) -> list[Block]:
    """Return the lines that keep most: leaks, caches, and what starting up allocates once."""
    kept = sorted(report.by_application_frame, key=lambda one: -one.leaked_bytes)[: min(top_count, 8)]
    rows = [
        Row(cells=(one.leaked_bytes, where_of(one.place.function, one.place.file, one.place.line)))
        for one in kept
        if one.leaked_bytes
    ]
    caption = "Retention: not freed when recording ended (a leak and a cache look alike here: --diff tells them apart)"
    return [Table(name="retention", columns=(LEAKED, WHERE), rows=tuple(rows), caption=caption)] if rows else []


def _churn(report: AnalyzeReport, top_count: int) -> list[Block]:
    if report.totals.churn_bytes is None:
        return []
    busy = sorted(report.by_application_frame, key=lambda one: -(one.churn_bytes or 0))[: min(top_count, 8)]
    rows = [
        Row(cells=(one.churn_bytes, where_of(one.place.function, one.place.file, one.place.line)))
        for one in busy
        if one.churn_bytes
    ]
    caption = "Churn: allocated and freed at once, over the whole time"
    return [Table(name="churn", columns=(CHURN, WHERE), rows=tuple(rows), caption=caption)] if rows else []


def _allocators(report: AnalyzeReport) -> list[Paragraph]:
    parts = [f"{one.allocator} {format_bytes(one.size_bytes)}" for one in report.allocators if one.size_bytes]
    return [Paragraph(text=f"By allocator at the peak: {', '.join(parts)}.", style="faint", hang=2)] if parts else []


def _timeline(report: AnalyzeReport) -> Table:
    names = (("at_seconds", "seconds"), ("heap_bytes", "bytes"), ("rss_bytes", "bytes"), ("process_count", "count"))
    columns = tuple(Column(name=name, header=name, kind=kind, meaning="") for name, kind in names)
    rows = tuple(
        Row(cells=(one.at_seconds, one.heap_bytes, one.rss_bytes, one.process_count)) for one in report.timeline
    )
    return Table(name="timeline", columns=columns, rows=rows)


def _sizes(one: DistributionSum | FrameSum) -> tuple[Cell, Cell, Cell]:
    return one.peak_bytes, one.leaked_bytes, one.churn_bytes


def _part(size_bytes: int, total_bytes: int) -> float | str:
    return round(size_bytes / total_bytes, 6) if total_bytes else ""


def _mark(is_uncertain: bool) -> str:
    return "~" if is_uncertain else ""


def _headline(report: AnalyzeReport) -> str:
    totals = report.totals
    files = f"{totals.file_count} capture{'s' if totals.file_count != 1 else ''}"
    processes = f"{totals.process_count} process{'es' if totals.process_count != 1 else ''}"
    took = format_seconds(report.head.took_seconds)
    return f"{files} of {processes}, read in {took}"


def _mode_line(report: AnalyzeReport) -> str:
    uncertain = any(one.is_uncertain for one in report.by_distribution)
    if not uncertain:
        return "Sizes in MiB. KEPT is what was not freed when recording ended."
    return (
        "Sizes in MiB. KEPT is what was not freed when recording ended. ~ marks what is uncertain: memray saw Python's "
        "arenas of 1 MiB, each charged to whoever needed it first (trace with --detail to see every block)."
    )


def _totals(totals: AllocationTotals) -> list[tuple[str, str, str]]:
    least = ">= " if totals.is_lower_bound else ""
    peak = "the sum of each process's own peak" if totals.process_count > 1 else "held when the heap was largest"
    lines = [
        ("Peak", least + format_bytes(totals.peak_bytes), peak),
        ("Kept", least + format_bytes(totals.leaked_bytes), "not freed when recording ended"),
    ]
    if totals.churn_bytes is not None:
        lines.append(("Churn", least + format_bytes(totals.churn_bytes), f"freed at once, {totals.churn_count} times"))
    return lines


def _next_command(report: AnalyzeReport) -> str:
    if report.diff is None and report.files:
        return f"airmem analyze {report.files[0].path} --diff LONGER.bin"
    return ""
