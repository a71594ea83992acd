"""What a target wrote into its names acts on nobody: neither a terminal, nor rich, nor a browser."""

from __future__ import annotations

import json

import jsonschema
import pytest

from tests.live.conftest import run_airmem
from tests.unit.test_docs import DOCS, close

SCHEMA = json.loads((DOCS / "schema/hang-dump.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def answers():
    """What is printed about a target with hostile names, by form; made once by the first test."""
    return {}


@pytest.fixture
def printed(start, answers):
    if not answers:
        target = start("hang_threads", "hostile_names")
        answers["truth"] = target.truth
        for form in ("text", "json", "html"):
            done = run_airmem("hang-dump", target.pid, "-v", "--window", "0.3", "--format", form)
            assert done.returncode == 0, done.stderr
            answers[form] = done.stdout
    return answers


def test_names_are_raw_in_json(printed):
    names = {thread["name"] for thread in json.loads(printed["json"])["processes"][0]["threads"]}
    assert {*printed["truth"]["names"]} <= names
    assert printed["json"].isascii()
    assert printed["json"].count("\n") == 1


@pytest.mark.parametrize("form", ["text", "html"])
def test_no_control_character_gets_through(printed, form):
    assert [one for one in printed[form] if not one.isprintable() and one != "\n"] == []
    assert "\u202e" not in printed[form]


def test_a_newline_in_a_name_makes_no_line(printed):
    assert not any(line.startswith("b") for line in printed["text"].splitlines())


def test_html_in_a_name_is_text(printed):
    assert "<script>alert" not in printed["html"]
    assert "&lt;script&gt;alert(1)" in printed["html"]


def test_markup_is_shown_as_it_is(printed):
    assert "[bold]x[/] [/]" in printed["text"]


def test_the_document_is_valid_and_no_key_is_undocumented(printed):
    document = json.loads(printed["json"])
    jsonschema.validate(document, SCHEMA, jsonschema.Draft202012Validator)
    closed = json.loads(json.dumps(SCHEMA), object_hook=close)
    jsonschema.validate(document, closed, jsonschema.Draft202012Validator)
