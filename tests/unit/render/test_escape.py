"""Text from a target cannot act on a terminal."""

from __future__ import annotations

import pytest

from airmem.render.escape import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        ("caf\u00e9 \u4e2d\u6587 \U0001f40d", "caf\u00e9 \u4e2d\u6587 \U0001f40d"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\tc\rd\0e", "a\\x0ab\\x09c\\x0dd\\x00e"),
        ("\x7f\x9b31m", "\\x7f\\x9b31m"),
        ("\u202eexe.txt", "\\u202eexe.txt"),
        ("\u2066a\u2069\u200e\u061c", "\\u2066a\\u2069\\u200e\\u061c"),
        ("a\u200bb\ufeffc\u00add", "a\\u200bb\\ufeffc\\xadd"),
        ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),
        (b"\xff".decode(errors="surrogateescape"), "\\udcff"),
        ("\ud800x\udfff", "\\ud800x\\udfff"),
        ("[red]bold[/red] <b>&amp;</b>", "[red]bold[/red] <b>&amp;</b>"),
    ],
)
def test_escape(text, shown):
    assert escape(text) == shown


def test_long_text_is_cut():
    assert escape("x" * 300, 200) == "x" * 197 + "..."
    assert escape("x" * 200, 200) == "x" * 200
    assert len(escape("\x1b" * 20_000)) < 50_000
