"""CSV: one table with raw values; unknown is empty."""

from __future__ import annotations

import csv
import io

from airmem.render.escape import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.views.document import Cell, Table

FORMULA_STARTS = ("=", "+", "-", "@")


def render(table: Table) -> str:
    """Return a table as CSV with a header, without a newline at its end.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([column.name for column in table.columns])
    writer.writerows([[_value(cell) for cell in row.cells] for row in table.rows])
    return buffer.getvalue().rstrip("\n")


def _value(cell: Cell) -> int | float | str:
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return cell
    text = escape(cell)
    return "'" + text if text.startswith(FORMULA_STARTS) else text
