"""JSON: one document, ASCII only, so that nothing a target wrote can act on a terminal."""

from __future__ import annotations

import json
from typing import Any

from airmem.codec.document import encode_report
from airmem.render.escape import without_surrogates


def render(report: Any) -> str:
    """Return the report of any command as one line of JSON, without a newline at its end.

    Bytes of a target that are not UTF-8 become text like \\udc80: a lone surrogate is no JSON to strict readers.
    """
    document = encode_report(report)
    text = json.dumps(document, ensure_ascii=True, allow_nan=False)
    return json.dumps(_clean(document), ensure_ascii=True, allow_nan=False) if "\\ud" in text else text


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {key: _clean(one) for key, one in value.items()}
    return [_clean(one) for one in value] if isinstance(value, list) else value
