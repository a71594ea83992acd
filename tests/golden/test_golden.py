"""The looks of fixed answers."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest

from airmem._version import __version__
from tests.golden.answers import answers
from tests.golden.make import FOLDER, FOLDER_OF_FILES
from tests.golden.other_tools import answers_of_files

ANSWERS = answers()
OF_FILES = answers_of_files()


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_looks_as_it_did(name):
    golden = (FOLDER / name).read_text(encoding="utf-8")
    assert ANSWERS[name] + "\n" == golden.replace("VERSION", __version__)


def test_no_file_is_left_over():
    assert {path.name for path in FOLDER.iterdir()} == {*ANSWERS}
    assert {path.name for path in FOLDER_OF_FILES.iterdir()} == {*OF_FILES}


@pytest.mark.parametrize("name", OF_FILES)
def test_an_answer_of_another_tools_file_looks_as_it_did(name):
    assert OF_FILES[name] + "\n" == (FOLDER_OF_FILES / name).read_text(encoding="utf-8")
    assert not {"Cc", "Cs", "Cf"} & {unicodedata.category(one) for one in OF_FILES[name] if one != "\n"}


@pytest.mark.parametrize("name", [name for name in ANSWERS if not name.endswith(".color")])
def test_nothing_hostile_is_in_any_of_them(name):
    assert not {"Cc", "Cs", "Cf"} & {unicodedata.category(one) for one in ANSWERS[name] if one != "\n"}


@pytest.mark.parametrize("name", [name for name in ANSWERS if name.endswith(".json")])
def test_json_is_one_line(name):
    assert "\n" not in ANSWERS[name]
    assert json.loads(ANSWERS[name])["command"] == "pss"


def columns_of(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in line)


@pytest.mark.parametrize(
    ("name", "width"), [(f"{name}-{width}.txt", width) for name in ("tree", "unreadable") for width in (80, 200)]
)
def test_no_line_is_wider_than_the_terminal(name, width):
    assert max(map(columns_of, ANSWERS[name].split("\n"))) <= width


def test_color_only_adds_color():
    for name in ("tree-80", "unreadable-80"):
        plain = re.sub(r"\x1b\[[0-9;]*m", "", ANSWERS[f"{name}.color"])
        assert plain.rstrip("\n") == ANSWERS[f"{name}.txt"].rstrip("\n")
        assert "\x1b[" in ANSWERS[f"{name}.color"]
