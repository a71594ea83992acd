"""What every document has. Keys are the model's field names; unknown is null."""

from __future__ import annotations

from airmem._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from airmem.model.finding import Finding
    from airmem.model.gap import Gap
    from airmem.model.report import Head

SCHEMA_VERSION = 1

Json: TypeAlias = "dict[str, Any]"


def encode_head(head: Head) -> Json:
    """Return what every document begins with."""
    return {
        "schema_version": SCHEMA_VERSION,
        "airmem_version": __version__,
        "command": head.command,
        "taken_at_seconds": head.taken_at_seconds,
        "took_seconds": round(head.took_seconds, 6),
        "host": fields_of(head.host),
    }


def encode_judgement(gaps: tuple[Gap, ...], findings: tuple[Finding, ...]) -> Json:
    """Return what every document ends with."""
    return {"gaps": [fields_of(gap) for gap in gaps], "findings": [fields_of(finding) for finding in findings]}


def encode_report(report: Any) -> Json:
    """Return the document of any answer: its command's module has `encode`, that of several captures `combined`."""
    name = report.head.command.replace("-", "_") if hasattr(report, "head") else "combined"
    module = __import__(f"airmem.codec.{name}", fromlist=["encode"])  # importlib would be loaded for this
    document: Json = module.encode(report)
    return document


def fields_of(value: Any) -> Json:
    """Return a flat noun's fields by name, in order."""
    return {name: getattr(value, name) for name in value.__slots__}
