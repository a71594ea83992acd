"""Text from a target is hostile: titles and paths may hold terminal escapes, newlines and direction overrides."""

from __future__ import annotations

DANGEROUS = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x061C, 0x180E, 0x200B, *range(0x200E, 0x2010),
                 *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFC))
}  # fmt: skip


def escape(text: str, most: int = 10_000) -> str:
    r"""Return text that cannot act on a terminal: control, direction and undecodable characters become \xNN.

    Longer text than `most` characters is cut and ends in three dots.
    """
    if len(text) > most:
        text = text[: max(0, most - 3)] + "..."
    return text if text.isascii() and text.isprintable() else without_surrogates(text.translate(DANGEROUS))


def without_surrogates(text: str) -> str:
    r"""Return text that can be encoded: bytes of a target that are not UTF-8 become \udcNN."""
    return text.encode(errors="backslashreplace").decode()
