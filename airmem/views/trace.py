"""`airmem trace` as a document: what was recorded, what the files are worth, what lies around."""

from __future__ import annotations

from airmem.units import format_bytes, format_seconds
from airmem.views.document import Column, Document, Facts, Paragraph, Row, Table
from airmem.views.judgement import view_findings, view_gaps, view_next
from airmem.views.title import cut_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.trace import Trace, TraceFile, TracePlan, TraceProgress, TraceReport
    from airmem.views.document import Block, Cell

FILE = {
    "pid": ("PID", "text", "process that it is of"),
    "role": ("ROLE", "text", "parent, or child: forked while it was recorded"),
    "size_bytes": ("SIZE", "bytes", "size on disk"),
    "verdict": ("VERDICT", "text", "whether it is whole"),
    "path": ("FILE", "title", "the capture"),
}
TRACE = {
    "label": ("TRACED", "title", "component or program"),
    "kind": ("HOW", "text", "launch, attach, or airflow: by its own switch"),
    "pid": ("PID", "text", "process that was started or attached to"),
    "began_at_seconds": ("AGE", "seconds", "since when, in seconds since 1970; as text how long ago"),
    "verdicts": ("FILES", "title", "how many captures, and what each is worth"),
    "size_bytes": ("SIZE", "bytes", "size of its captures on disk"),
    "outcome": ("ENDED BY", "text", "how the recording ended"),
    "folder": ("FOLDER", "title", "where it is, in the place that was listed"),
}
FILE_COLUMNS = tuple(Column(name=name, header=one[0], kind=one[1], meaning=one[2]) for name, one in FILE.items())
SPARE = ("kind", "pid")
TRACE_COLUMNS = tuple(
    Column(name=name, header=one[0], kind=one[1], meaning=one[2], is_spare=name in SPARE) for name, one in TRACE.items()
)

OUTCOMES = {
    "finished": "the time was up; memray has left the process",
    "ended": "the program ended",
    "stopped": "it was stopped; memray has left the process",
    "airmem_gone": "airmem was killed; the supervisor took memray out of the process",
    "budget": "the disk budget was used; the program goes on unrecorded",
    "disk": "the disk was nearly full; the program goes on unrecorded",
    "target_gone": "the process ended",
    "ended_elsewhere": "somebody else ended the recording",
    "deadline": "memray began too late",
    "failed": "memray could not begin",
    "": "nobody was left to tell",
}
MOST_FILES = 20


def view_plan(plan: TracePlan) -> Document:
    """Return what a person must know before a trace begins."""
    title = cut_title(plan.title)
    who = f"process {plan.subject.process.pid}, {title}" if plan.subject else title
    lines = [Paragraph(text=f"  - {line}", hang=4) for line in plan.warnings]
    return Document(
        blocks=(
            Paragraph(text=f"Recording every allocation of {who}", style="strong"),
            Paragraph(
                text=f"  Python {plan.python.version}, memray {plan.python.memray_version}; into {plan.place}", hang=4
            ),
            *lines,
        )
    )


def view_progress(progress: TraceProgress) -> str:
    """Return one line: how long, how much, how fast, how much room is left."""
    files = f"{progress.file_count} file{'s' * (progress.file_count != 1)}"
    return (
        f"{progress.stage}: {format_seconds(progress.elapsed_seconds)}, {files}, {format_bytes(progress.size_bytes)}"
        f" (+{format_bytes(int(progress.growth_bytes * 60))}/min), {format_bytes(progress.free_bytes)} free"
    )


def view_trace(report: TraceReport, is_analyzed: bool = False) -> Document:
    """Return the document of a trace that has ended, or of those that lie in a place.

    `is_analyzed` tells that an analysis follows, which has its own table of the files.
    """
    if report.action != "trace":
        return _view_list(report)
    blocks: list[Block] = []
    for trace in report.traces:
        blocks.append(Facts(lines=tuple(_facts(trace))))
        blocks += [] if is_analyzed or not trace.files else [_files(trace), *_details(trace)]
        if len(trace.files) > MOST_FILES and not is_analyzed:
            blocks.append(Paragraph(text=f"and {len(trace.files) - MOST_FILES} more files in {trace.folder}"))
    following = [] if is_analyzed else next_command(report)
    return Document(
        blocks=(*blocks, *view_findings(report.findings), *view_gaps(report.gaps), *following),
    )


def next_command(report: TraceReport) -> list[Paragraph]:
    """Return the command that reads what was recorded."""
    folders = [one.folder for one in report.traces if one.files]
    return view_next(f"airmem analyze {folders[-1]}/*.bin*" if folders else "")


def _facts(trace: Trace) -> list[tuple[str, str, str]]:
    """Return what was traced, for how long and why it ended; the last column is not aligned."""
    took = None if trace.ended_at_seconds is None else trace.ended_at_seconds - trace.began_at_seconds
    files = f"{len(trace.files)} file{'s' * (len(trace.files) != 1)}"
    lines = [
        ("traced", f"{trace.label}, pid {_pid(trace.pid)}, mode {trace.mode.name}"),
        ("took", f"{format_seconds(took)}, {files}, {format_bytes(trace.size_bytes)}"),
        ("ended", OUTCOMES.get(trace.outcome, trace.outcome)),
    ]
    if trace.status is not None:
        lines.append(("status", str(trace.status) if trace.status >= 0 else f"signal {-trace.status}"))
    return [(name, "", value) for name, value in (*lines, ("folder", trace.folder))]


def _files(trace: Trace) -> Table:
    """Return the files, those of parents first and then the largest."""
    ranked = sorted(trace.files, key=lambda one: (one.role != "parent", -one.size_bytes))[:MOST_FILES]
    rows = [
        Row(cells=(_pid(one.pid), one.role, one.size_bytes, _verdict(one), one.path.rpartition("/")[2]))
        for one in ranked
    ]
    return Table(name="files", columns=FILE_COLUMNS, rows=tuple(rows))


def _verdict(file: TraceFile) -> str:
    return "still recording" if file.is_recording else file.verdict.replace("_", " ")


def _details(trace: Trace) -> list[Paragraph]:
    """Return what each verdict rests on, once for each."""
    told = {file.detail: file.verdict.replace("_", " ") for file in trace.files if file.detail}
    return [Paragraph(text=f"{verdict}: {detail}", hang=2) for detail, verdict in told.items()]


def _pid(pid: int | None) -> str:
    return "?" if pid is None else str(pid)


def _view_list(report: TraceReport) -> Document:
    total = format_bytes(sum(one.size_bytes for one in report.traces))
    if report.action == "clean":
        return Document(
            blocks=(Paragraph(text=f"Removed {_count(report.traces)}, {format_bytes(report.freed_bytes)}"),)
        )
    headline = f"{_count(report.traces)} in {report.place}, {total}; {format_bytes(report.free_bytes)} are free there"
    rows = tuple(Row(cells=_row(one, report)) for one in report.traces)
    tables = (Table(name="traces", columns=TRACE_COLUMNS, rows=rows),) if rows else ()
    return Document(
        blocks=(
            Paragraph(text=headline, style="strong"),
            *tables,
            *view_findings(report.findings),
            *view_gaps(report.gaps),
            *next_command(report),
        )
    )


def _count(traces: tuple[Trace, ...]) -> str:
    return f"{len(traces)} trace{'s' * (len(traces) != 1)}"


def _verdicts(trace: Trace) -> str:
    """Return how many files have which verdict, those of which fewest are there first: what differs shows."""
    words = [_verdict(file) for file in trace.files]
    counts = sorted((words.count(word), word) for word in set(words))
    return ", ".join(f"{count} {word}" for count, word in counts) or "none"


def _row(trace: Trace, report: TraceReport) -> tuple[Cell, ...]:
    is_recording = any(one.is_recording for one in trace.files)
    return (
        trace.label,
        trace.kind,
        _pid(trace.pid),
        max(0.0, report.head.taken_at_seconds - trace.began_at_seconds),
        _verdicts(trace),
        trace.size_bytes,
        "still recording" if is_recording else trace.outcome or "unknown",
        trace.folder.removeprefix(report.place.rstrip("/") + "/"),
    )
