"""The document of `airmem ps` (docs/schema/ps.json)."""

from __future__ import annotations

from airmem.codec.document import Json, encode_head, encode_judgement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.services import PsReport, ServiceRow


def encode(report: PsReport) -> Json:
    """Return the document."""
    return {
        **encode_head(report.head),
        "services": [_encode_service(row) for row in report.services],
        **encode_judgement(report.gaps, report.findings),
    }


def _encode_service(row: ServiceRow) -> Json:
    process = row.process
    return {
        "service": row.service,
        "component": row.component,
        "role": row.role,
        "pid": process.pid,
        "parent_pid": process.parent_pid,
        "start_ticks": process.start_ticks,
        "depth": row.depth,
        "title": process.title,
        "activity": row.activity,
        "children_count": row.children_count,
        "started_at_seconds": row.started_at_seconds,
        "up_seconds": row.up_seconds,
        "rss_bytes": row.rss_bytes,
        "start_method": row.start_method,
        "container_id": row.container_id or None,
        "state": process.state,
    }
