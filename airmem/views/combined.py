"""Several captures as one document: each as by itself, then the sums over all."""

from __future__ import annotations

from airmem.model.noun import replace
from airmem.units import format_bytes
from airmem.views.document import Block, Column, Document, Facts, Paragraph, Table
from airmem.views.pss import view_pss, view_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.combined import CombinedReport, CombinedTotals

CAPTURE = Column(name="capture", header="CAPTURE", kind="text", meaning="the file that this process is in")


def view_combined(report: CombinedReport, verbose: bool = False, top_count: int | None = None) -> Document:
    """Return the document."""
    blocks: list[Block] = []
    for name, one in zip(report.names, report.reports, strict=True):
        blocks.append(Paragraph(text=f"{name}, host {one.head.host.hostname}", style="strong"))
        blocks += view_pss(one, verbose, top_count).blocks
    return Document(
        blocks=(*blocks, Paragraph(text=_headline(report.combined), style="strong"), _sums(report.combined))
    )


def view_combined_table(report: CombinedReport) -> Table:
    """Return the tables of all captures as one, with a first column that names the capture."""
    tables = [view_table(one) for one in report.reports]
    rows = tuple(
        replace(row, cells=(name, *row.cells))
        for name, table in zip(report.names, tables, strict=True)
        for row in table.rows
    )
    return replace(tables[0], columns=(CAPTURE, *tables[0].columns), rows=rows)


def _headline(combined: CombinedTotals) -> str:
    again = f", {combined.repeated_count} of them seen again" if combined.repeated_count else ""
    unread = f"; {combined.unread_count} could not be read" if combined.unread_count else ""
    return f"All {combined.capture_count} captures: {combined.process_count} processes{again}{unread}"


def _sums(combined: CombinedTotals) -> Facts:
    least = ">= " if combined.is_lower_bound else ""
    return Facts(
        lines=(
            ("Sum of PSS", least + format_bytes(combined.pss_sum_bytes), "each process once"),
            ("Sum of USS", least + format_bytes(combined.uss_sum_bytes), "pages that one process alone maps"),
            ("Sum of RSS", least + format_bytes(combined.rss_sum_bytes), "do not add up what top shows"),
        )
    )
