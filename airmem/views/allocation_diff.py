"""`airmem analyze --diff` as a table: what grows with time, and what does not."""

from __future__ import annotations

from airmem.units import format_seconds
from airmem.views.document import Column, Row, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.allocation import AllocationChange, AllocationDiff

COLUMNS = (
    Column(name="change_bytes", header="CHANGE", kind="change", meaning="longer against shorter"),
    Column(name="before_bytes", header="SHORTER", kind="bytes", meaning="not freed in the shorter captures"),
    Column(name="after_bytes", header="LONGER", kind="bytes", meaning="not freed in the longer captures"),
    Column(name="verdict", header="VERDICT", kind="text", meaning="grows, steady, shrinks, or too small to tell"),
    Column(name="where", header="WHERE", kind="title", meaning="function, file and line, or the package"),
)
SITES = ("/site-packages/", "/dist-packages/")
STYLES = {"grows": "alarm", "small": "faint"}


def view_diff(diff: AllocationDiff, top_count: int) -> Table:
    """Return the lines that grow, then the largest steady ones: a bounded cache is among them."""
    grown = [one for one in diff.frames if one.verdict == "grows"]
    steady = sorted((one for one in diff.frames if one.verdict == "steady"), key=lambda one: -one.after_bytes)
    others = [one for one in diff.frames if one.verdict not in ("grows", "steady")]
    rows = [
        Row(
            cells=(one.change_bytes, one.before_bytes, one.after_bytes, one.verdict, _where(one)),
            style=STYLES.get(one.verdict, ""),
        )
        for one in [*grown, *steady, *others][:top_count]
    ]
    change = diff.after_bytes - diff.before_bytes
    total = (change, diff.before_bytes, diff.after_bytes, "", "all lines")
    caption = (
        f"Not freed after {format_seconds(diff.before_seconds)} and after {format_seconds(diff.after_seconds)}: "
        "what grows is a leak, or a cache still filling; what is steady is a cache or start-up"
    )
    return Table(name="diff", columns=COLUMNS, rows=(*rows, Row(cells=total, style="strong")), caption=caption)


def _where(one: AllocationChange) -> str:
    place = one.place
    file = place.file
    for marker in SITES:
        file = file.rpartition(marker)[2] if marker in file else file
    return f"{place.function} {file}:{place.line}" if place.line else file or one.distribution
