"""`airmem ps` as a document: a tree of processes for each service."""

from __future__ import annotations

from airmem.rules.asking import next_command
from airmem.services.family import is_interpreter
from airmem.units import format_age
from airmem.views.document import Column, Document, Paragraph, Row, Table
from airmem.views.judgement import view_findings, view_gaps, view_next
from airmem.views.title import short_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.services import PsReport, ServiceRow
    from airmem.views.document import Block, Cell

SHORT_ID = 12
"""So many digits of a container's id, as docker ps shows."""

PROCESS = Column(name="process", header="PROCESS", kind="text", meaning="the component, and below it each role")
CONTAINER = Column(name="container", header="CONTAINER", kind="text", meaning="id of its container, cut")
NAMES = {
    "service": ("SERVICE", "text", "airflow, celery, gunicorn ...; empty for a program that airmem does not know"),
    "component": ("COMPONENT", "text", "the part of the service: scheduler, celery-worker ..."),
    "role": ("ROLE", "text", "parent, worker, or the component's own word"),
    "pid": ("PID", "text", "process id, as seen from here"),
    "parent_pid": ("PARENT", "text", "its parent's process id"),
    "start_ticks": ("TICKS", "count", "when it started, in clock ticks after boot: with the pid, its identity"),
    "depth": ("DEPTH", "count", "how far below the root of its tree"),
    "children_count": ("KIDS", "count", "how many children it has now"),
    "started_at_seconds": ("STARTED", "text", "when it started, in seconds since 1970"),
    "up_seconds": ("UP", "text", "for how long it has been running"),
    "rss_bytes": ("RSS", "bytes", "resident memory, shared pages counted in full"),
    "start_method": ("START", "text", "fork, forkserver, spawn or exec: whether it began with its parent's memory"),
    "container_id": ("CONTAINER", "text", "id of its container"),
    "state": ("STATE", "text", "the kernel's letter: R, S, D, T, Z ..."),
    "activity": ("ACTIVITY", "text", "what its title says that it does now"),
    "title": ("TITLE", "title", "command line without secrets"),
}
COLUMNS = {
    name: Column(name=name, header=header, kind=kind, meaning=meaning)
    for name, (header, kind, meaning) in NAMES.items()
}
BRIEF = ("pid", "children_count", "up_seconds", "rss_bytes", "start_method")

NOTHING = "No service that airmem knows runs here (or none that can be seen). It looks for:"
HOW = "Any other process can be looked at by its pid: airmem pss PID. Other Python programs: airmem ps --all"


def view_ps(report: PsReport) -> Document:
    """Return the document: one table whose first column is the tree."""
    if not report.services:
        return Document(blocks=(*_nothing(), *view_gaps(report.gaps)))
    contained = [CONTAINER] * any(row.container_id for row in report.services)
    columns = (PROCESS, *(COLUMNS[name] for name in BRIEF), *contained, COLUMNS["title"])
    rows = tuple(
        Row(cells=tuple(_brief(row, column) for column in columns), indent=row.depth, style=_style(row))
        for row in report.services
    )
    return Document(
        blocks=(
            Paragraph(text=_headline(report), style="strong"),
            Table(name="services", columns=columns, rows=rows),
            *view_findings(report.findings),
            *view_gaps(report.gaps),
            *view_next(_next_command(report)),
        )
    )


def view_table(report: PsReport) -> Table:
    """Return the whole table for programs, columns named as in JSON."""
    rows = tuple(Row(cells=tuple(value_of(row, name) for name in NAMES)) for row in report.services)
    return Table(name="services", columns=tuple(COLUMNS.values()), rows=rows)


def value_of(row: ServiceRow, name: str) -> Cell:
    """Return a raw value of one process by its name in NAMES."""
    if name in ("pid", "parent_pid", "start_ticks", "state", "title"):
        of_process: Cell = getattr(row.process, name)
        return of_process
    value: Cell = getattr(row, name)
    return value


def _brief(row: ServiceRow, column: Column) -> Cell:
    if column is PROCESS:
        return name_of(row)
    if column is CONTAINER:
        return row.container_id[:SHORT_ID] or "-"
    if column.name == "pid":
        return str(row.process.pid)
    if column.name == "up_seconds":
        return format_age(row.up_seconds)
    if column.name == "title":
        return row.activity or short_title(row.process)
    return value_of(row, column.name)


def name_of(row: ServiceRow) -> str:
    """Return what stands in the tree: a component's name at its parent, else the role; zombies say so."""
    name = row.component or _program_of(row) if row.role == "parent" else row.role
    if row.depth == 0 and row.role != "parent" and row.component:
        name = f"{row.component} {row.role}"
    return f"{name} (zombie)" if row.process.is_zombie else name


def _program_of(row: ServiceRow) -> str:
    """Return what a program that belongs to no service is: python, or the kernel's short name of it."""
    first = row.process.arguments[0] if row.process.arguments else ""
    is_python = is_interpreter(first) or is_interpreter(row.process.command)
    return "python" if is_python else row.process.command or "process"


def _style(row: ServiceRow) -> str:
    return "strong" if row.role == "parent" else "faint" if row.service is None else ""


def _headline(report: PsReport) -> str:
    trees, count = sum(row.depth == 0 for row in report.services), len(report.services)
    trees_word, processes_word = "tree" if trees == 1 else "trees", "process" if count == 1 else "processes"
    return f"{trees} {trees_word}, {count} {processes_word}. RSS in MiB; it counts shared memory in every process."


def _next_command(report: PsReport) -> str:
    """Return the command for the tree with most processes: where sharing matters most."""
    sizes: dict[int, int] = {}
    root = 0
    for row in report.services:
        root = row.process.pid if row.depth == 0 else root
        sizes[root] = sizes.get(root, 0) + 1
    return next_command(report.head.origin, "pss", max(sizes, key=lambda pid: sizes[pid]))


def _nothing() -> list[Block]:
    from airmem.services.components import COMPONENTS  # noqa: PLC0415

    lines = [Paragraph(text=f"  {name:<16} {meaning}") for name, meaning in COMPONENTS.items()]
    return [Paragraph(text=NOTHING, style="strong"), *lines, Paragraph(text=HOW)]
