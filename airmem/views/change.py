"""`airmem pss --diff` as a table: each role before and after."""

from __future__ import annotations

from airmem.views.document import Cell, Column, Row, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.change import RoleChange, RoleSize, TreeChange

COLUMNS = (
    Column(name="role", header="ROLE", kind="text", meaning="the role, whichever processes had it"),
    Column(name="count", header="COUNT", kind="text", meaning="processes before and after"),
    Column(name="pss_mean_before_bytes", header="PSS EACH", kind="bytes", meaning="mean PSS of a process before"),
    Column(name="pss_mean_after_bytes", header="NOW", kind="bytes", meaning="mean PSS of a process now"),
    Column(name="pss_mean_change_bytes", header="CHANGE", kind="change", meaning="the difference"),
    Column(name="uss_mean_before_bytes", header="USS EACH", kind="bytes", meaning="mean USS of a process before"),
    Column(name="uss_mean_after_bytes", header="NOW", kind="bytes", meaning="mean USS of a process now"),
    Column(name="uss_mean_change_bytes", header="CHANGE", kind="change", meaning="the difference"),
    Column(name="pss_sum_change_bytes", header="ALL PSS", kind="change", meaning="the change of the role's summed PSS"),
)


def view_change(change: TreeChange) -> Table:
    """Return one row for each role, and one for the tree."""
    rows = [_row(one) for one in change.roles]
    total = _row(change.total, "strong")
    return Table(name="diff", columns=COLUMNS, rows=(*rows, total), caption="Against the earlier answer, by role")


def _row(change: RoleChange, style: str = "") -> Row:
    before, after = change.before, change.after
    pss = (_mean(before, "pss_sum_bytes"), _mean(after, "pss_sum_bytes"))
    uss = (_mean(before, "uss_sum_bytes"), _mean(after, "uss_sum_bytes"))
    counts = f"{before.process_count if before else 0} -> {after.process_count if after else 0}"
    sums = (_sum(before), _sum(after))
    name = f"{change.component} {change.role}" if change.component else change.role
    cells = (name, counts, *pss, _difference(*pss), *uss, _difference(*uss), _difference(*sums))
    return Row(cells=cells, style=style)


def _mean(size: RoleSize | None, name: str) -> int | None:
    if size is None or size.process_count == size.unread_count:
        return None
    return int(getattr(size, name) / (size.process_count - size.unread_count))


def _sum(size: RoleSize | None) -> int | None:
    """Return the summed PSS of a role: 0 without processes, unknown if one of them could not be read."""
    if size is None:
        return 0
    return None if size.unread_count else size.pss_sum_bytes


def _difference(before: int | None, after: int | None) -> Cell:
    return None if before is None or after is None else after - before
