"""`airmem pss --mappings` as a table: where the workers' own memory lies."""

from __future__ import annotations

from airmem.views.document import Column, Row, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.lineup import LinedUpMapping

COLUMNS = (
    Column(name="range", header="RANGE", kind="text", meaning="addresses, in the parent"),
    Column(name="permissions", header="PERM", kind="text", meaning="read, write, execute, private or shared"),
    Column(name="size_bytes", header="SIZE", kind="bytes", meaning="length of the range, resident or not"),
    Column(name="rss_bytes", header="RSS", kind="bytes", meaning="resident"),
    Column(name="pss_bytes", header="PSS", kind="bytes", meaning="resident, shared pages divided"),
    Column(name="shared_bytes", header="SHARED", kind="bytes", meaning="what workers still share (on average)"),
    Column(name="private_bytes", header="OWN", kind="bytes", meaning="what workers have for themselves (together)"),
    Column(name="name", header="MAPPING", kind="title", meaning="file, [heap], [stack]; empty for anonymous memory"),
)
MOST_LINES = 15


def view_lineup(mappings: tuple[LinedUpMapping, ...], verbose: bool, top_count: int | None) -> Table:
    """Return the ranges where workers have most for themselves first; `verbose` adds a line for each worker."""
    ranked = sorted(mappings, key=lambda one: (one.private_bytes, one.rss_bytes or one.pss_bytes or 0), reverse=True)
    most = top_count or MOST_LINES
    rows: list[Row] = []
    for one in ranked[:most]:
        count = len(one.workers)
        shared_bytes = sum(worker.shared_bytes for worker in one.workers) // count if count else None
        where = f"{one.start_address:012x}-{one.end_address:012x}"
        private_bytes = one.private_bytes if count else None
        sizes = (one.size_bytes, one.rss_bytes, one.pss_bytes, shared_bytes, private_bytes)
        rows.append(Row(cells=(where, one.permissions, *sizes, one.name or "anonymous"), style="strong" * verbose))
        if verbose:
            rows.extend(_worker_rows(one))
    left = len(ranked) - most
    caption = "Mappings of the parent, and the same ranges in its forked workers"
    if left > 0:
        caption += f" (the {most} with most of their own; {left} more)"
    return Table(name="mappings", columns=COLUMNS, rows=tuple(rows), caption=caption)


def _worker_rows(one: LinedUpMapping) -> list[Row]:
    return [
        Row(
            cells=(
                f"  worker {worker.pid}",
                "",
                worker.size_bytes,
                worker.rss_bytes,
                worker.pss_bytes,
                worker.shared_bytes,
                worker.private_bytes,
                "",
            )
        )
        for worker in one.workers
    ]
