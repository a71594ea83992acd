"""The document of `airmem trace` (docs/schema/trace.json)."""

from __future__ import annotations

from airmem.codec.document import Json, encode_head, encode_judgement, fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.trace import Trace, TraceReport


def encode(report: TraceReport) -> Json:
    """Return the document."""
    return {
        **encode_head(report.head),
        "action": report.action,
        "place": report.place,
        "free_bytes": report.free_bytes,
        "freed_bytes": report.freed_bytes,
        "traces": [_encode_trace(one) for one in report.traces],
        **encode_judgement(report.gaps, report.findings),
    }


def _encode_trace(trace: Trace) -> Json:
    mode = {"name": trace.mode.name, **fields_of(trace.mode)}
    return {**fields_of(trace), "mode": mode, "files": [fields_of(one) for one in trace.files]}
