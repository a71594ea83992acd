"""Filtering and sorting the processes of a tree."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.report import ProcessRow
    from airmem.model.selection import Selection


def select_rows(rows: tuple[ProcessRow, ...], selection: Selection) -> tuple[ProcessRow, ...]:
    """Return the rows that meet every filter, sorted as asked; unknown numbers come last."""
    chosen = [row for row in rows if _meets(row, selection)]
    if selection.sort == "pid":
        chosen.sort(key=lambda row: row.process.pid)
    elif selection.sort is not None:
        name = selection.sort
        chosen.sort(key=lambda row: _number(row, name), reverse=True)
    return tuple(chosen[: selection.top_count])


def _meets(row: ProcessRow, selection: Selection) -> bool:
    if selection.role is not None and selection.role not in (row.role, row.component):
        return False
    if selection.name is not None and selection.name.lower() not in row.process.title.lower():
        return False
    if selection.user_id is not None and row.user_id != selection.user_id:
        return False
    return selection.least_pss_bytes is None or (row.account.pss_bytes or 0) >= selection.least_pss_bytes


def _number(row: ProcessRow, name: str) -> int:
    holder = row.sharing if name in ("parent_bytes", "siblings_bytes", "outside_bytes") else row.account
    value = getattr(holder, name, None)
    return -1 if value is None else int(value)
