"""The document of `airmem pss` about several captures: ordinary documents, and their sums."""

from __future__ import annotations

from airmem._version import __version__
from airmem.codec import pss
from airmem.codec.document import SCHEMA_VERSION, Json, fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.combined import CombinedReport


def encode(report: CombinedReport) -> Json:
    """Return the document."""
    return {
        "schema_version": SCHEMA_VERSION,
        "airmem_version": __version__,
        "command": "pss",
        "files": list(report.names),
        "captures": [pss.encode(one) for one in report.reports],
        "combined": fields_of(report.combined),
    }
