"""JSON: one document, ASCII only, so that nothing a target wrote can act on a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airmem.codec import encode_report

if TYPE_CHECKING:
    from airmem.model.report import PssReport
    from airmem.model.services import PsReport


def render(report: PssReport | PsReport) -> str:
    """Return a report as one line of JSON, without a newline at its end."""
    return json.dumps(encode_report(report), ensure_ascii=True, allow_nan=False)
