"""JSON: one document, ASCII only, so that nothing a target wrote can act on a terminal."""

from __future__ import annotations

import json
from typing import Any


def render(document: dict[str, Any]) -> str:
    """Return a document as text without a newline at its end."""
    return json.dumps(document, ensure_ascii=True, allow_nan=False)
