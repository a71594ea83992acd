"""JSON: one document, ASCII only, so that nothing a target wrote can act on a terminal.

What `json.dumps` writes, put together here: importing `json` costs more than reading a small tree, since its decoder
needs `re`. Only texts beyond ASCII are left to it.
"""

from __future__ import annotations

from airmem.codec.document import encode_report
from airmem.render.escape import without_surrogates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x20), 0x7F)} | {
    ord(char): f"\\{letter}" for char, letter in zip('"\\\b\f\n\r\t', '"\\bfnrt', strict=True)
}


def render(report: Any) -> str:
    """Return the report of any command as one line of JSON, without a newline at its end.

    Bytes of a target that are not UTF-8 become text like \\udc80: a lone surrogate is no JSON to strict readers.
    """
    return write_value(encode_report(report))


def write_value(value: Any) -> str:
    """Return a value as `json.dumps` does (RFC 8259), of objects with texts for names.

    Errors: TypeError, and ValueError for what is no number.
    """
    return WRITERS.get(type(value), _other)(value)


def _text(text: str) -> str:
    if not text.isascii():
        return _other(text)
    is_plain = text.isprintable() and '"' not in text and "\\" not in text  # four times as fast as the table
    return f'"{text if is_plain else text.translate(ESCAPES)}"'


def _float(number: float) -> str:
    return float.__repr__(number) if number - number == 0 else _other(number)


def _array(values: list[Any] | tuple[Any, ...]) -> str:
    return f"[{', '.join([WRITERS.get(type(one), _other)(one) for one in values])}]"


def _object(values: dict[str, Any]) -> str:
    members = [f"{_text(name)}: {WRITERS.get(type(one), _other)(one)}" for name, one in values.items()]
    return f"{{{', '.join(members)}}}"


def _other(value: Any) -> str:
    from json import dumps  # noqa: PLC0415  # seldom: see above

    return dumps(without_surrogates(value) if isinstance(value, str) else value, allow_nan=False)


WRITERS: dict[type, Callable[[Any], str]] = {
    str: _text,
    int: int.__repr__,
    float: _float,
    bool: {False: "false", True: "true"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
    list: _array,
    tuple: _array,
    dict: _object,
}
"""Exact type -> how it is written. A subclass, as of str or int, is left to json."""
