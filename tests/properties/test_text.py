"""Nothing that a target writes acts on a terminal, a spreadsheet or a parser; numbers survive their text."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airmem.codec.document import fields_of
from airmem.codec.pss import decode_pss
from airmem.errors import UsageProblem
from airmem.render import as_csv, as_json, as_text
from airmem.render.escape import escape
from airmem.units import GIB, MIB, format_bytes, format_change, format_seconds, parse_bytes, parse_seconds
from airmem.views.document import Document, Facts, Paragraph, Row, Table
from airmem.views.pss import TITLE, view_pss, view_table
from tests.synthetic import make_account, make_report, make_row

HOSTILE = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=20),
    st.binary(max_size=30).map(lambda raw: raw.decode(errors="surrogateescape")),
    st.sampled_from(
        ["\x1b[31m", "\x1b]0;title\x07", "[red]x[/]", "=1+1", "@x", "+1", "-1", "\t=1", "a\nairmem: forged"]
    ),
)
ACTIVE = frozenset({"Cc", "Cs", "Zl", "Zp"})
DIRECTIONS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")


@settings(max_examples=300)
@given(HOSTILE)
def test_escaped_text_is_inert(text):
    shown = escape(text)
    assert not ACTIVE.intersection(map(unicodedata.category, shown))
    assert not DIRECTIONS.intersection(map(unicodedata.bidirectional, shown))
    assert escape(shown) == shown
    assert shown.encode().decode() == shown


@settings(max_examples=100, deadline=None)
@given(title=HOSTILE, role=HOSTILE, width=st.one_of(st.none(), st.integers(40, 200)))
def test_a_title_stays_on_its_line(title, role, width):
    report = make_report(make_row(1, role="parent"), make_row(2, role=role, process={"arguments": (title, title)}))
    plain = as_text.render(view_pss(make_report(*[make_row(1), make_row(2)])), width)
    for verbose in (False, True):
        text = as_text.render(view_pss(report, verbose), width)
        assert "\x1b" not in text
        assert not {unicodedata.category(one) for one in text if one != "\n"} & ACTIVE
    assert as_text.render(view_pss(report), width).count("\n") == plain.count("\n")


@settings(max_examples=60, deadline=None)
@given(title=HOSTILE)
def test_in_color_only_airmem_sets_the_color(title):
    document = Document(
        blocks=(
            Paragraph(text=title, style="strong"),
            Table(name="t", columns=(TITLE,), rows=(Row(cells=(title,), style="alarm"),), caption="x"),
            Facts(lines=(("a", "b", title),)),
        )
    )
    colored = as_text.render(document, 80, color=True)
    assert "\x1b" not in ESCAPE_SEQUENCE.sub("", colored)
    assert ESCAPE_SEQUENCE.sub("", colored).split() == as_text.render(document, 80).split()


@settings(max_examples=150, deadline=None)
@given(title=HOSTILE)
def test_a_spreadsheet_computes_nothing(title):
    report = make_report(make_row(1, process={"arguments": (title,)}))
    [_, row] = list(csv.reader(io.StringIO(as_csv.render(view_table(report)))))
    assert len(row) == len(view_table(report).columns)
    assert not row[-1].startswith(("=", "+", "-", "@", "\t", "\r"))


@settings(max_examples=150, deadline=None)
@given(title=HOSTILE)
def test_json_is_ascii_and_strict(title):
    text = as_json.render(make_report(make_row(1, process={"arguments": (title,)})))
    assert text.isascii()
    assert text.isprintable()
    decoded = json.loads(text)["processes"][0]["title"]
    assert decoded.encode().decode() == decoded
    if not any(0xD800 <= ord(one) < 0xE000 for one in title):
        assert decoded == title


SIZES = st.one_of(st.none(), st.integers(0, 1 << 50))


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.tuples(SIZES, SIZES, SIZES), min_size=1, max_size=4),
    component=st.one_of(st.none(), st.text(max_size=10)),
    role=st.text(max_size=10),
)
def test_an_answer_can_be_read_again(sizes, component, role):
    assume(max(role + (component or "") + " ") <= "\ud7ff")
    rows = tuple(
        make_row(number + 1, role=role, component=component, account=make_account(*three))
        for number, three in enumerate(sizes)
    )
    report = make_report(*rows)
    taken_at_seconds, hostname, decoded = decode_pss(json.loads(as_json.render(report)))
    assert (taken_at_seconds, hostname) == (report.head.taken_at_seconds, report.head.host.hostname)
    for before, after in zip(rows, decoded, strict=True):
        assert fields_of(before.account) == fields_of(after.account)
        assert before.account.uss_bytes == after.account.uss_bytes
        assert (before.role, before.component, before.depth) == (after.role, after.component, after.depth)
        assert before.process.key == after.process.key
        assert before.process.title == after.process.title


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["pid", "parent_pid", "start_ticks", "title", "role", "depth", "component", "hostname"]),
            inner,
            max_size=8,
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(processes=JSON, taken=JSON, host=JSON)
def test_another_document_is_refused_with_a_reason(processes, taken, host):
    document = {
        "command": "pss",
        "schema_version": 1,
        "processes": processes,
        "taken_at_seconds": taken,
        "host": host,
    }
    cause = "the earlier answer"
    rows = ()
    try:
        _, _, rows = decode_pss(document)
    except UsageProblem as problem:
        cause = problem.cause
    assert cause.startswith("the earlier answer")
    assert all(isinstance(row.process.pid, int) for row in rows)


@given(st.integers(0, 1 << 59))
def test_bytes_of_a_number_are_the_number(size_bytes):
    assert abs(parse_bytes(str(size_bytes)) - size_bytes) <= size_bytes >> 50
    assert parse_bytes(f"{size_bytes % 4096}k") == size_bytes % 4096 * 1024


@given(st.integers(0, 1 << 50))
def test_what_is_shown_can_be_typed(size_bytes):
    shown = format_bytes(size_bytes)
    typed = parse_bytes(shown.replace(" ", ""))
    assert abs(typed - size_bytes) <= (512 if size_bytes < MIB else MIB / 20 if size_bytes < 10 * GIB else GIB / 20) + 1
    assert format_change(size_bytes) == ("=" if size_bytes == 0 else f"+{shown}")
    assert format_change(-size_bytes) == ("=" if size_bytes == 0 else f"-{shown}")


@given(st.text(max_size=12))
def test_a_size_or_a_duration_is_understood_or_refused(text):
    for parse in (parse_bytes, parse_seconds):
        try:
            assert 0 <= parse(text) < 1 << 60
        except ValueError:
            continue


@given(st.floats(0, 1e9))
def test_a_duration_has_two_units_at_most(duration_seconds):
    assert re.fullmatch(r"\d+(\.\d)? \w+( \d+ \w+)?", format_seconds(duration_seconds))


@pytest.mark.parametrize(
    ("text", "expected"), [("30", 30.0), ("0.5", 0.5), ("10m", 600.0), ("2h", 7200.0), ("1d", 86400.0), (" 5S ", 5.0)]
)
def test_durations(text, expected):
    assert parse_seconds(text) == expected


@pytest.mark.parametrize("text", ["", "m", "0", "-1", "nan", "inf", "1e99", "5 minutes", "h2"])
def test_no_durations(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("4096", 4096), ("10M", 10 << 20), ("1.5GiB", 3 << 29), ("2 kb", 2048), ("1t", 1 << 40)]
)
def test_sizes(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "M", "-1", "nan", "inf", "1e30", "10X", "ten"])
def test_no_sizes(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_bytes(text)
