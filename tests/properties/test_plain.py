"""A plain command line means what click would make of it; what is not plain is left to click."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airmem.commands import _ps, _pss, answer_plain, ps, pss, read_plain
from airmem.group import run_group

COMMANDS = {"ps": (ps, _ps), "pss": (pss, _pss)}
ABSENT = {"target": None, "files": ()}
OWN = {"ps": {"with_all": False}, "pss": {"every": None, "duration": None}}
ODD = ["", "-", "--", "-h", "--help", "--top", "--from", "-o", "--for", "--all=1", "--no-color=", "--sort=", "=", "-vv", "-v=",
       "--dep", "--DEPTH", "PAGES", "--format=json", "--depth=pages", "3", "\udc80", "scheduler"]  # fmt: skip


def words_of(name):
    plain = COMMANDS[name][1].PLAIN
    values = sorted({value for _, some in plain.values() for value in some})
    pair = st.sampled_from([(option, value) for option, (_, some) in plain.items() for value in some])
    flag = st.sampled_from([(option,) for option, (_, some) in plain.items() if not some])
    whole = st.one_of(
        pair, flag, pair.map("=".join).map(lambda word: (word,)), st.sampled_from([("7",), ("scheduler",)])
    )
    broken = st.sampled_from([*plain, *values, *ODD]).map(lambda word: (word,))
    return st.lists(st.one_of(whole, whole, whole, broken), max_size=6).map(lambda some: [w for ws in some for w in ws])


def as_click(name, words):
    """Return the options that a command gets from click, None where it is not called."""
    module, got = COMMANDS[name][0], []
    before, module.answer = module.answer, lambda **options: got.append(options) or 0
    try:
        assert run_group([name, *words]) == 0
    finally:
        module.answer = before
    return got[0] if got else None


@pytest.mark.parametrize("name", COMMANDS)
@given(data=st.data())
def test_a_plain_line_is_read_as_click_does(name, data):
    words = data.draw(words_of(name))
    plain = read_plain(words, COMMANDS[name][1].PLAIN)
    if plain is not None:
        assert {**ABSENT, **OWN[name], **COMMANDS[name][1].DEFAULTS, **plain} == as_click(name, words)


@pytest.mark.parametrize("name", COMMANDS)
def test_whatever_is_whole_is_plain(name):
    plain = COMMANDS[name][1].PLAIN
    for option, (key, values) in plain.items():
        for value in values:
            assert read_plain([option, value], plain) == read_plain([f"{option}={value}"], plain) == {key: value}
        if not values:
            assert read_plain(["5", option], plain) == {"target": "5", key: True}
    assert read_plain([], plain) == {}


@pytest.mark.parametrize(
    "words",
    [
        ["-h"], ["--depth"], ["--depth", "deep"], ["--depth="], ["--depth", "--mappings"], ["--mappings=yes"], ["1", "2"], [""],
        ["--", "1"], ["-v", "-x"], ["--top", "3"], ["-o", "x"], ["--format", "html"], ["--every", "1"], ["--from", "x"], ["-"],
    ],
)  # fmt: skip
def test_what_is_left_to_click(words):
    assert read_plain(words, _pss.PLAIN) is None
    assert answer_plain(["pss", *words]) is None


@pytest.mark.parametrize("words", [[], ["cow", "1"], ["--version"], ["pss.py"], ["Pss"], ["nonsense"]])
def test_other_commands_are_left_to_click(words):
    assert answer_plain(words) is None
