"""The page of `airmem analyze`: the document, the timeline as a drawing, and links to memray's flame graphs."""

from __future__ import annotations

from urllib.parse import quote

from markupsafe import Markup, escape

from airmem.render.as_html import render_html
from airmem.render.escape import escape as inert
from airmem.units import format_bytes, format_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from airmem.model.allocation import AnalyzeReport, TimelinePoint
    from airmem.views.document import Document

WIDTH, HEIGHT, TOP = 1000, 220, 12
LEFT, BOTTOM = 80, 24
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)

STYLE = """<style>
.timeline { width: 100%; max-width: 70rem; height: auto; }
.timeline .heap { fill: #0b7285; fill-opacity: 0.25; stroke: #0b7285; stroke-width: 1.5; }
.timeline .rss { fill: none; stroke: #b35900; stroke-width: 1.5; stroke-dasharray: 5 3; }
.timeline line { stroke: var(--line); }
.timeline text { fill: var(--faint); font: 12px system-ui, sans-serif; }
</style>"""


def render_page(document: Document, report: AnalyzeReport, graphs: Sequence[tuple[str, str]] = ()) -> str:
    """Return the whole page. `graphs` are (capture, file beside the page) of memray's flame graphs."""
    body = Markup("").join([draw_timeline(report.timeline), link_graphs(graphs)])
    return render_html(document, title="airmem analyze", head_html=STYLE, body_html=str(body))


def link_graphs(graphs: Sequence[tuple[str, str]]) -> Markup:
    """Return links to memray's flame graphs, which lie beside the page."""
    if not graphs:
        return Markup("")
    lines = [
        Markup('<li><a href="{}">{}</a></li>').format(quote(name), escape(inert(capture))) for capture, name in graphs
    ]
    return Markup("<h2>Flame graphs (by memray)</h2><ul>{}</ul>").format(Markup("").join(lines))


def draw_timeline(points: Sequence[TimelinePoint]) -> Markup:
    """Return the heap and the resident memory of all processes over time, as a drawing; empty below two points."""
    if len(points) < 2:
        return Markup("")
    most_bytes = max(max(one.heap_bytes, one.rss_bytes) for one in points) or 1
    end_seconds = points[-1].at_seconds or 1.0

    def place(at_seconds: float, size_bytes: int) -> str:
        x = LEFT + (WIDTH - LEFT) * at_seconds / end_seconds
        return f"{x:.1f},{(HEIGHT - BOTTOM) * (1 - size_bytes / most_bytes) + TOP:.1f}"

    heap = " ".join(place(one.at_seconds, one.heap_bytes) for one in points)
    rss = " ".join(place(one.at_seconds, one.rss_bytes) for one in points)
    grid = Markup("").join([*_lines(most_bytes), *_times(end_seconds)])
    return Markup(
        "<h2>Timeline</h2><p>Heap as memray saw it (filled), and resident memory (dashed), of all processes together."
        " What is resident and not heap: programs, libraries, copied pages, fragmentation, memray itself.</p>"
        '<svg class="timeline" viewBox="0 0 {} {}" role="img" aria-label="heap over time">{}'
        '<polygon class="heap" points="{} {} {}"/><polyline class="rss" points="{}"/></svg>'
    ).format(WIDTH, HEIGHT + TOP, grid, place(0.0, 0), heap, place(end_seconds, 0), rss)


def _lines(most_bytes: int) -> list[Markup]:
    found = []
    for part in STEPS:
        y = f"{(HEIGHT - BOTTOM) * (1 - part) + TOP:.1f}"
        found.append(Markup('<line x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, WIDTH, y, y))
        label = format_bytes(round(most_bytes * part))
        found.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(LEFT - 6, float(y) + 4, label))
    return found


def _times(end_seconds: float) -> list[Markup]:
    found = []
    for part in STEPS:
        anchor = "start" if part == 0 else "end" if part == 1 else "middle"
        x = LEFT + (WIDTH - LEFT) * part
        label = format_seconds(end_seconds * part)
        found.append(Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, HEIGHT + 4, anchor, label))
    return found
