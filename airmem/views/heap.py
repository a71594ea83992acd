"""`airmem heap` as a document: the types of a process, who has what of its own, how sure the counts are."""

from __future__ import annotations

from airmem.rules.asking import next_command
from airmem.units import format_bytes, format_seconds
from airmem.views.document import Column, Document, Facts, Paragraph, Row, Table
from airmem.views.judgement import view_findings, view_gaps, view_next
from airmem.views.title import short_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.heap import HeapChange, HeapPlace, HeapReport, HeapType

TYPE = Column(name="type", header="TYPE", kind="title", meaning="module and qualified name")
COUNT = Column(name="count", header="OBJECTS", kind="count", meaning="live objects")
SHALLOW = Column(name="shallow_bytes", header="SHALLOW", kind="bytes", meaning="basic sizes and items")
SHARE = Column(name="share_percent", header="SHARE", kind="count", meaning="part of the shallow size of all types")
TRACKED = Column(
    name="tracked_count", header="TRACKED", kind="count", meaning="how many of them the garbage collector knows"
)
TYPE_COLUMNS = (COUNT, SHALLOW, SHARE, TYPE)
TABLE_COLUMNS = (TYPE, COUNT, SHALLOW, TRACKED)
PROCESS_COLUMNS = (
    Column(name="role", header="ROLE", kind="text", meaning="parent, worker, or the service's own word"),
    Column(name="pid", header="PID", kind="text", meaning="process id, as seen from here"),
    Column(name="own_bytes", header="OWN", kind="bytes", meaning="shallow size of objects that it has for itself"),
    Column(name="own_count", header="OBJECTS", kind="count", meaning="how many of these"),
    Column(name="inherited_bytes", header="INHERITED", kind="bytes", meaning="of objects on pages it still shares"),
    Column(name="inherited_count", header="OBJECTS", kind="count", meaning="how many of these"),
    Column(name="top", header="MOST OF ITS OWN", kind="title", meaning="the largest types of its own"),
    Column(name="title", header="TITLE", kind="title", meaning="command line without secrets"),
)
PLACE_COLUMNS = (
    Column(name="range", header="RANGE", kind="text", meaning="addresses of the mapping"),
    Column(name="permissions", header="PERM", kind="text", meaning="read, write, execute, private or shared"),
    COUNT,
    SHALLOW,
    Column(name="page_count", header="PAGES", kind="count", meaning="pages that these objects lie on"),
    Column(name="name", header="MAPPING", kind="title", meaning="file, [heap]; empty for anonymous memory"),
)
GROWTH_COLUMNS = (
    Column(name="count_change", header="OBJECTS", kind="count", meaning="more or fewer live objects"),
    Column(name="before_count", header="BEFORE", kind="count", meaning="live objects in the earlier answer"),
    Column(name="after_count", header="NOW", kind="count", meaning="live objects now"),
    Column(name="bytes_change", header="SHALLOW", kind="change", meaning="change of the shallow size"),
    TYPE,
)
MOST_TYPES = 20
MOST_PLACES = 15
MOST_TOP = 3


def view_heap(report: HeapReport, top_count: int | None = None) -> Document:
    """Return the document; `top_count` types are shown, 20 unless told."""
    most = top_count or MOST_TYPES
    tables = [_types(report, most)] if report.change is None else [_growth(report.change, most)]
    if len(report.processes) > 1:
        tables.insert(0, _processes(report))
    if report.places is not None:
        tables = [_places(report.places, most)]
    return Document(
        blocks=(
            Paragraph(text=_headline(report), style="strong"),
            Paragraph(text=_explanation(report), style="faint"),
            *tables,
            Facts(lines=_facts(report)),
            *view_findings(report.findings),
            *view_gaps(report.gaps),
            *view_next(_next_command(report)),
        )
    )


def view_heap_table(report: HeapReport) -> Table:
    """Return all types, or all that changed, or where the objects of the type asked for lie, for programs."""
    if report.places is not None:
        return _places(report.places, len(report.places))
    if report.change is not None:
        return _growth(report.change, len(report.change.types))
    rows = [Row(cells=(one.type, one.count, one.shallow_bytes, one.tracked_count)) for one in report.types]
    return Table(name="types", columns=TABLE_COLUMNS, rows=tuple(rows))


def _headline(report: HeapReport) -> str:
    component = f"{report.component} " if report.component else ""
    python = f", Python {report.python_version}" if report.python_version else ""
    count = len(report.processes) - 1
    below = f" and {count} descendant{'s' if count != 1 else ''}" if count else ""
    took = format_seconds(report.head.took_seconds)
    return f"{component}{report.root_pid}{python}{below}, {format_bytes(report.scanned_bytes)} looked at in {took}"


def _explanation(report: HeapReport) -> str:
    duty = "" if report.duty_ratio is None else f" Memory was read at most {report.duty_ratio:.0%} of the time."
    return (
        "Read from outside: nothing is stopped, and no object is touched. SHALLOW is MiB of the objects themselves,"
        f" without what they refer to.{duty}"
    )


def _types(report: HeapReport, most: int) -> Table:
    rows = [
        Row(cells=(one.count, one.shallow_bytes, _share(one, report.heap_bytes), one.type))
        for one in report.types[:most]
    ]
    left = report.types[most:]
    if left:
        rest_bytes = sum(one.shallow_bytes for one in left)
        share = f"{rest_bytes / max(1, report.heap_bytes):.1%}"
        name = f"{len(left)} more types (--top)"
        rows.append(Row(cells=(sum(one.count for one in left), rest_bytes, share, name), style="faint"))
    return Table(name="types", columns=TYPE_COLUMNS, rows=tuple(rows), caption=f"Objects of {report.root_pid} by type")


def _share(one: HeapType, heap_bytes: int) -> str:
    return f"{one.shallow_bytes / max(1, heap_bytes):.1%}"


def _processes(report: HeapReport) -> Table:
    rows = []
    for one in report.processes:
        top = ", ".join(f"{each.type} {format_bytes(each.shallow_bytes)}" for each in one.types[:MOST_TOP])
        sizes = (one.own_bytes, one.own_count, one.inherited_bytes, one.inherited_count)
        rows.append(Row(cells=(one.role, str(one.process.pid), *sizes, top, short_title(one.process))))
    caption = "What each process has of its own, and what it has from its parent and still shares"
    return Table(name="processes", columns=PROCESS_COLUMNS, rows=tuple(rows), caption=caption)


def _places(places: tuple[HeapPlace, ...], most: int) -> Table:
    rows = []
    for one in places[:most]:
        where = f"{one.start_address:012x}-{one.end_address:012x}"
        cells = (where, one.permissions, one.count, one.shallow_bytes, one.page_count, one.name or "anonymous")
        rows.append(Row(cells=cells))
    left = len(places) - most
    count, pages = sum(one.count for one in places), sum(one.page_count for one in places)
    caption = f"Where they lie: {count} objects on {pages} pages of {len(places)} mappings"
    caption += f", the first {most} shown" if left > 0 else ""
    return Table(name="places", columns=PLACE_COLUMNS, rows=tuple(rows), caption=caption)


def _growth(change: HeapChange, most: int) -> Table:
    rows = [
        Row(
            cells=(
                f"{one.after_count - one.before_count:+d}",
                one.before_count,
                one.after_count,
                one.after_bytes - one.before_bytes,
                one.type,
            )
        )
        for one in change.types[:most]
    ]
    left = len(change.types) - most
    caption = "Growth since the earlier answer, the most first"
    caption += f"; {left} more types changed (--top)" if left > 0 else "" if rows else ": none"
    return Table(name="growth", columns=GROWTH_COLUMNS, rows=tuple(rows), caption=caption)


def _facts(report: HeapReport) -> tuple[tuple[str, str, str], ...]:
    accuracy = report.accuracy
    loose = f"; {accuracy.loose_count} more look alive and are on no list" if accuracy.loose_count else ""
    unread = f"; {accuracy.unread_page_count} pages went away meanwhile" if accuracy.unread_page_count else ""
    return (
        ("Objects", f"{report.object_count}", f"of {len(report.types)} types"),
        ("Shallow size", format_bytes(report.heap_bytes), "of all types together"),
        (
            "Tracked",
            f"{accuracy.tracked_count}",
            f"on the garbage collector's lists, each checked against its neighbors{loose}{unread}",
        ),
        ("Static types", f"{report.static_type_count}", "of programs and libraries, not counted as objects"),
    )


def _next_command(report: HeapReport) -> str:
    if report.change is None and report.places is None and report.types:
        return next_command(report.head.origin, "heap", report.root_pid, "--every 60 --for 10m")
    return ""
