"""The document of `airmem analyze` (docs/schema/analyze.json)."""

from __future__ import annotations

from airmem.codec.document import Json, encode_head, encode_judgement, fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.allocation import AllocationChange, AllocationDiff, AnalyzeReport, FrameSum


def encode(report: AnalyzeReport) -> Json:
    """Return the document."""
    totals = fields_of(report.totals)
    return {
        **encode_head(report.head),
        "files": [fields_of(one) for one in report.files],
        "peak_bytes": totals.pop("peak_bytes"),
        "leaked_bytes": totals.pop("leaked_bytes"),
        "churn_bytes": totals.pop("churn_bytes"),
        "totals": totals,
        "by_distribution": [fields_of(one) for one in report.by_distribution],
        "by_application_frame": [_encode_placed(one) for one in report.by_application_frame],
        "top_functions": [_encode_placed(one) for one in report.top_functions],
        "allocators": [fields_of(one) for one in report.allocators],
        "timeline": [fields_of(one) for one in report.timeline],
        "diff": None if report.diff is None else _encode_diff(report.diff),
        **encode_judgement(report.gaps, report.findings),
    }


def _encode_diff(diff: AllocationDiff) -> Json:
    frames = [_encode_placed(one) for one in diff.frames]
    return {**fields_of(diff), "frames": frames, "distributions": [_encode_placed(one) for one in diff.distributions]}


def _encode_placed(value: FrameSum | AllocationChange) -> Json:
    """Return a sum at a place, the place's own fields among the others."""
    fields = fields_of(value)
    return {**fields_of(fields.pop("place")), **fields}
