"""`airmem hang-dump` as a document: what all hangs on, every process, and where their threads stand."""

from __future__ import annotations

from airmem.rules.asking import next_command
from airmem.rules.hang_words import describe_wait
from airmem.units import format_age, format_seconds
from airmem.views.document import Cell, Column, Document, Paragraph, Row, Table
from airmem.views.judgement import view_findings, view_gaps, view_next

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from airmem.model.stack import Frame
    from airmem.model.verdict import HangReport, KnownPattern, ProcessVerdict, ProfileRow, RootCause, ThreadVerdict

Group: TypeAlias = "list[tuple[ProcessVerdict, ThreadVerdict]]"

STYLES = {"hung": "alarm", "stopped": "alarm", "waiting": "strong", "idle": "faint", "exited": "faint"}
ORDER = ("hung", "stopped", "waiting", "unreadable", "busy", "idle", "zombie", "exited")
BRIEF_FRAMES = 4
MOST_LINKS = 8
MOST_PIDS = 12
MOST_ROWS = 40

COLUMNS = (
    Column(name="role", header="ROLE", kind="text", meaning="parent, worker, or the service's own word"),
    Column(name="pid", header="PID", kind="text", meaning="process id, as seen from here"),
    Column(name="state", header="STATE", kind="text", meaning="hung, waiting, idle, busy, stopped, zombie, exited"),
    Column(name="since", header="FOR", kind="text", meaning="since its main thread last ran"),
    Column(name="threads", header="THREADS", kind="count", meaning="how many of its threads are told of"),
    Column(name="wait", header="WHAT IT DOES", kind="title", meaning="what its main thread waits for"),
)


def view_hang(report: HangReport, verbose: bool = False) -> Document:
    """Return the document; `verbose` adds idle threads and whole stacks."""
    return Document(
        blocks=(
            Paragraph(text=_headline(report), style="strong"),
            Paragraph(text=_how_line(report), style="faint"),
            *[one for cause in report.root_causes for one in _root_cause(cause)],
            *[one for pattern in report.patterns for one in _pattern(pattern)],
            _processes(report, verbose),
            *_threads(report, verbose),
            *([_profile(report.profile)] if report.profile is not None else []),
            *view_findings(report.findings),
            *view_gaps(report.gaps),
            *view_next(_next_command(report, verbose)),
        )
    )


def _headline(report: HangReport) -> str:
    states = [one.state for one in report.processes]
    counts = [f"{states.count(state)} {state}" for state in ORDER if state in states]
    first = report.processes[0] if report.processes else None
    who = f"{first.component or first.role} {first.pid}" if first else "nothing"
    more = f" and {len(states) - 1} more process{'es' if len(states) > 2 else ''}" if len(states) > 1 else ""
    return f"{who}{more}: {', '.join(counts)}"


def _how_line(report: HangReport) -> str:
    paused = sum(one.paused_seconds for one in report.processes)
    stopped = f"stopped for {format_seconds(paused)} in all" if paused else "nothing was stopped"
    return (
        f"Looked for {format_seconds(report.window_seconds)}, answered in {format_seconds(report.head.took_seconds)};"
        f" {stopped}. Hung: nothing can end it, or it lasts for more than {format_seconds(report.stuck_after_seconds)}."
    )


def _root_cause(cause: RootCause) -> list[Paragraph]:
    links = [f"{link.pid}{f'/{link.tid}' if link.tid != link.pid else ''} {link.category}" for link in cause.chain]
    if len(links) > MOST_LINKS:
        links = [*links[: MOST_LINKS - 1], "...", links[-1]]
    found = [Paragraph(text=f"Root cause: {cause.summary}.", style="alarm", hang=2)]
    if len(links) > 1:
        found.append(Paragraph(text=f"  {' -> '.join(links)}", style="faint", hang=4))
    return found


def _pattern(pattern: KnownPattern) -> list[Paragraph]:
    return [
        Paragraph(text=f"Known hang {pattern.code}: {pattern.summary}. {pattern.remedy}", style="strong", hang=2),
        Paragraph(text=f"  {pattern.link}", is_whole=True),
    ]


def _processes(report: HangReport, verbose: bool) -> Table:
    """Return one line for each process; of many that do the same only the first ones."""
    depths = _depths(report)
    rows, left_out = [], 0
    seen: dict[tuple[str, str], int] = {}
    for one in report.processes:
        words = _words(one)
        seen[one.state, words] = seen.get((one.state, words), 0) + 1
        if not verbose and len(report.processes) > MOST_ROWS and seen[one.state, words] > 3:
            left_out += 1
            continue
        cells: tuple[Cell, ...] = (one.role, str(one.pid), one.state, _age(one), len(one.threads), words)
        rows.append(Row(cells=cells, indent=depths[one.pid], style=STYLES.get(one.state, "")))
    caption = f"Processes ({left_out} more do what others of their kind do; all with -v)" if left_out else ""
    return Table(name="processes", columns=COLUMNS, rows=tuple(rows), caption=caption)


def _depths(report: HangReport) -> dict[int, int]:
    depths: dict[int, int] = {}
    for one in report.processes:
        depths[one.pid] = depths.get(one.parent_pid, -1) + 1
    return depths


def _words(one: ProcessVerdict) -> str:
    if not one.threads:
        return {"zombie": "has ended; its parent has not waited for it", "exited": "has ended"}.get(one.state, "")
    return _phrase(_speaker(one))


def _speaker(one: ProcessVerdict) -> ThreadVerdict:
    """Return the thread whose state is its process's: the main one, or the first where that is not told of or ended."""
    alive = [each for each in one.threads if each.category != "exited"] or one.threads
    return next((each for each in alive if each.tid == one.pid), alive[0])


def _phrase(thread: ThreadVerdict) -> str:
    return describe_wait(thread.category, thread.evidence, thread.frames)


def _age(one: ProcessVerdict) -> str:
    return "" if not one.threads or _speaker(one).state == "busy" else format_age(_speaker(one).since_seconds)


def _threads(report: HangReport, verbose: bool) -> list[Paragraph]:
    """Return where threads stand: those that tell something, equal ones of several processes together."""
    groups: dict[tuple[object, ...], Group] = {}
    for one in report.processes:
        for thread in one.threads:
            if verbose or thread.state in ("hung", "waiting") or one.state in ("stopped", "unreadable"):
                places = tuple((frame.function, frame.file, frame.line) for frame in thread.frames)
                groups.setdefault((thread.state, thread.category, places, thread.name), []).append((one, thread))
    ordered = sorted(groups.values(), key=lambda group: ORDER.index(group[0][1].state))
    return [paragraph for group in ordered for paragraph in _group(group, verbose)]


def _group(group: Group, verbose: bool) -> list[Paragraph]:
    process, thread = group[0]
    name = f", thread {thread.name}" if thread.tid != process.pid else ""
    more = ""
    if len(group) > 1:
        pids = [str(one.pid) for one, _ in group[1:]]
        rest = f" and {len(pids) - MOST_PIDS} more" if len(pids) > MOST_PIDS else ""
        more = f" (likewise {', '.join(pids[:MOST_PIDS])}{rest})"
    since = "" if thread.since_seconds is None else f" for {format_age(thread.since_seconds)}"
    head = f"{process.role} {process.pid}{name}: {thread.category}, {thread.state}{since}, {thread.confidence}{more}"
    shown = thread.frames if verbose else thread.frames[:BRIEF_FRAMES]
    found = [
        Paragraph(text=head, style=STYLES.get(thread.state, ""), hang=2),
        Paragraph(text=f"  {_phrase(thread)}{_extra(thread)}", hang=4),
    ]
    if shown:
        left = len(thread.frames) - len(shown)
        outer = f" < {left} more" if left > 0 else ""
        found.append(Paragraph(text=f"  at {' < '.join(map(_frame, shown))}{outer}", style="faint", hang=4))
    return found


def _extra(thread: ThreadVerdict) -> str:
    """Return evidence that the phrase does not say."""
    parts = []
    if thread.evidence.get("call"):
        parts.append(f"call {thread.evidence['call']}")
    if thread.evidence.get("tcp_state"):
        parts.append(f"TCP {thread.evidence['tcp_state']}")
    if thread.evidence.get("how"):
        parts.append(f"told by: {thread.evidence['how']}")
    return f" ({'; '.join(parts)})" if parts else ""


def _frame(frame: Frame) -> str:
    return f"{frame.short_function} ({frame.file.rpartition('/')[2]}:{frame.line})"


def _profile(rows: tuple[ProfileRow, ...]) -> Table:
    columns = (
        Column(name="own_ratio", header="%Own", kind="text", meaning="of all looks, those inside the function itself"),
        Column(name="total_ratio", header="%Total", kind="text", meaning="of all looks, those in it or what it calls"),
        Column(name="own_seconds", header="OwnTime", kind="seconds", meaning="the same as time"),
        Column(name="total_seconds", header="TotalTime", kind="seconds", meaning="the same as time"),
        Column(name="function", header="Function (file)", kind="title", meaning="the function and its file"),
    )
    lines = tuple(
        Row(
            cells=(
                f"{row.own_ratio:.0%}",
                f"{row.total_ratio:.0%}",
                row.own_seconds,
                row.total_seconds,
                f"{row.function} ({row.file.rpartition('/')[2]})",
            )
        )
        for row in rows[:MOST_ROWS]
    )
    return Table(name="profile", columns=columns, rows=lines)


def _next_command(report: HangReport, verbose: bool) -> str:
    sick = [one for one in report.processes if one.state in ("hung", "waiting", "unreadable")]
    if not sick or verbose:
        return ""
    root = report.processes[0].pid
    origin = report.head.origin
    if any(one.state == "unreadable" for one in sick) and not origin:
        return next_command(origin, "doctor", sick[0].pid)
    return next_command(origin, "hang-dump", root, "-v")
