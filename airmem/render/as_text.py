"""Text: tables laid out in columns, plain when piped, colored at a terminal.

Tables are laid out and lines are colored here and not by rich: a rich table of 257 rows costs more CPU than reading 257
processes, and importing rich costs twice what a short command executes without it.
"""

from __future__ import annotations

from airmem.render.escape import escape
from airmem.units import MIB, format_ratio, format_seconds
from airmem.views.document import Facts, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from airmem.views.document import Block, Cell, Column, Document, Paragraph

Line: TypeAlias = "tuple[str, str]"
"""A finished line and its style."""

COLORS = {"strong": "1", "faint": "2", "alarm": "1;31", "header": "2;4"}
"""Style -> parameters of SGR, which every terminal with color knows (ECMA-48, 8.3.117): bold, dim, red, underlined."""

BLANK: Line = ("", "")
LONGEST_TITLE = 200
LEAST_TITLE = 12
PROSE_WIDTH = 100


def render(document: Document, width: int | None = None, color: bool = False) -> str:
    """Return a document as text without a newline at its end.

    `width` is the terminal's in columns; None means that there is none: nothing is cut but very long titles.
    """
    lines: list[Line] = []
    for block in document.blocks:
        more = _block(block, width)
        lines.extend(more[1:] if lines and lines[-1] == more[0] == BLANK else more)
    return "\n".join([_colored(*line) for line in lines] if color else [text for text, _ in lines])


def format_cell(value: Cell, kind: str) -> str:
    """Return a raw value as text, by the kind of its column; unknown is `?`."""
    if value is None:
        return "?"
    if isinstance(value, str):
        return escape(value, LONGEST_TITLE)
    if kind == "bytes":
        return f"{value / MIB:.1f}"
    if kind == "change":
        return "=" if value == 0 else f"{value / MIB:+.1f}"
    if kind == "seconds":
        return format_seconds(value)
    return f"{value:.0%}" if kind == "part" else format_ratio(value) if kind == "ratio" else str(value)


def _block(block: Block, width: int | None) -> list[Line]:
    if isinstance(block, Table):
        return [BLANK, *_table(block, width), BLANK]
    if isinstance(block, Facts):
        return [*_facts(block, width), BLANK]
    return _paragraph(block, width)


def _paragraph(paragraph: Paragraph, width: int | None) -> list[Line]:
    text = escape(paragraph.text)
    if width is None or paragraph.is_whole or not text:
        return [(text, paragraph.style)]
    from textwrap import wrap  # noqa: PLC0415  # at a terminal only

    return [
        (line, paragraph.style)
        for line in wrap(text, min(width, PROSE_WIDTH), subsequent_indent=" " * paragraph.hang, break_on_hyphens=False)
    ]


def _facts(facts: Facts, width: int | None) -> list[Line]:
    names = max(len(name) for name, _, _ in facts.lines)
    values = max(len(value) for _, value, _ in facts.lines)
    lines = [f"{name:<{names}}  {value:>{values}}  {escape(remark)}".rstrip() for name, value, remark in facts.lines]
    return [(_cut(line, width) if width else line, "") for line in lines]


def _table(table: Table, width: int | None) -> list[Line]:
    kinds = [column.kind for column in table.columns]
    rows = [[format_cell(cell, kind) for cell, kind in zip(row.cells, kinds, strict=True)] for row in table.rows]
    for cells, row in zip(rows, table.rows, strict=True):
        cells[0] = "  " * row.indent + cells[0]
    headers = [column.header for column in table.columns]
    widths = [max(map(_columns_of, cells)) for cells in zip(headers, *rows, strict=True)]
    columns = table.columns
    if width is not None:
        kept = _find_fitting(columns, widths, width)
        columns, widths = tuple(columns[at] for at in kept), [widths[at] for at in kept]
        headers, rows = [headers[at] for at in kept], [[cells[at] for at in kept] for cells in rows]
        widths = _narrow(columns, widths, width)
    caption = escape(table.caption)
    lines = [(_cut(caption, width) if width else caption, "strong")] if caption else []
    lines.append((_line(headers, columns, widths), "header"))
    for cells, row in zip(rows, table.rows, strict=True):
        lines.append((_line(cells, columns, widths), row.style))
    return lines


def _find_fitting(columns: tuple[Column, ...], widths: list[int], width: int) -> list[int]:
    """Return the positions of the columns that a terminal has room for."""
    kept = list(range(len(columns)))
    for spare in [at for at in kept if columns[at].is_spare]:
        least = [widths[at] for at in kept[:-1]] + [min(widths[-1], LEAST_TITLE)]
        if sum(least) + 2 * (len(kept) - 1) <= width:
            break
        kept.remove(spare)
    return kept


def _narrow(columns: tuple[Column, ...], widths: list[int], width: int) -> list[int]:
    """Return widths that fit as far as texts can be cut: the last column first, then every other title."""
    narrow = [*widths]
    titles = [at for at, column in enumerate(columns[:-1]) if column.kind == "title"]
    for at in (len(narrow) - 1, *reversed(titles)):
        excess = sum(narrow) + 2 * (len(narrow) - 1) - width
        narrow[at] -= max(0, min(excess, narrow[at] - LEAST_TITLE))
    return narrow


def _line(cells: list[str], columns: tuple[Column, ...], widths: list[int]) -> str:
    parts = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        if column.kind in ("text", "title", "part"):
            shown = _cut(cell, width)
            parts.append(shown + " " * (width - _columns_of(shown)))
        else:
            parts.append(cell.rjust(width))
    return "  ".join(parts).rstrip()


def _cut(text: str, width: int) -> str:
    if _columns_of(text) <= width:
        return text
    while text and _columns_of(text) > width - 2:
        text = text[:-1]
    return text + ".."


def _columns_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # noqa: PLC0415

    return sum(0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in text)


def _colored(text: str, style: str) -> str:
    return f"\x1b[{COLORS[style]}m{text}\x1b[0m" if text and style else text
