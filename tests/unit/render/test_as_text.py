"""Tables as text at a terminal."""

from __future__ import annotations

import pytest

from airmem.render.as_text import render
from airmem.views.document import Column, Document, Row, Table

COLUMNS = (
    Column(name="role", header="ROLE", kind="text", meaning=""),
    Column(name="first", header="FIRST", kind="count", meaning="", is_spare=True),
    Column(name="kept", header="KEPT", kind="count", meaning=""),
    Column(name="second", header="SECOND", kind="count", meaning="", is_spare=True),
    Column(name="title", header="TITLE", kind="title", meaning=""),
)
TABLE = Document(blocks=(Table(name="all", columns=COLUMNS, rows=(Row(cells=("worker", 1, 2, 3, "a" * 50)),)),))


@pytest.mark.parametrize(
    ("width", "headers"),
    [
        (None, ["ROLE", "FIRST", "KEPT", "SECOND", "TITLE"]),
        (60, ["ROLE", "FIRST", "KEPT", "SECOND", "TITLE"]),
        (38, ["ROLE", "KEPT", "SECOND", "TITLE"]),
        (30, ["ROLE", "KEPT", "TITLE"]),
    ],
)
def test_a_narrow_terminal_gets_no_spare_columns(width, headers):
    lines = [line for line in render(TABLE, width).splitlines() if line]
    assert lines[0].split() == headers
    assert width is None or max(map(len, lines)) <= width


def test_every_title_column_is_cut_where_the_terminal_is_narrow():
    columns = (
        Column(name="pid", header="PID", kind="text", meaning=""),
        Column(name="top", header="MOST OF ITS OWN", kind="title", meaning=""),
        Column(name="title", header="TITLE", kind="title", meaning=""),
    )
    table = Table(name="t", columns=columns, rows=(Row(cells=("4242", "t" * 90, "a" * 90)),))
    for width in (60, 80, 120):
        assert max(map(len, render(Document(blocks=(table,)), width).splitlines())) <= width
    assert "t" * 90 in render(Document(blocks=(table,)), 200)
    assert "a" * 90 in render(Document(blocks=(table,)))
