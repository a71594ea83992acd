"""The document of `airmem hang-dump` (docs/schema/hang-dump.json)."""

from __future__ import annotations

from airmem.codec.document import Json, encode_head, encode_judgement, fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.verdict import HangReport, ProcessVerdict


def encode(report: HangReport) -> Json:
    """Return the document."""
    document = {
        **encode_head(report.head),
        "window_seconds": report.window_seconds,
        "stuck_after_seconds": report.stuck_after_seconds,
        "processes": [_encode_verdict(one) for one in report.processes],
        "root_causes": [
            {**fields_of(one), "blocked": list(one.blocked), "chain": [fields_of(link) for link in one.chain]}
            for one in report.root_causes
        ],
        "patterns": [fields_of(one) for one in report.patterns],
        **encode_judgement(report.gaps, report.findings),
    }
    if report.profile is not None:
        document["profile"] = [fields_of(row) for row in report.profile]
    return document


def _encode_verdict(one: ProcessVerdict) -> Json:
    threads = []
    for thread in one.threads:
        frames = [{"function": each.function, "file": each.file, "line": each.line} for each in thread.frames]
        innermost = frames[0] if frames else {"function": None, "file": None, "line": None}
        threads.append({**fields_of(thread), **innermost, "frames": frames})
    return {**fields_of(one), "threads": threads}
