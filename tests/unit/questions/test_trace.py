"""Real documents of `airmem trace`, compared with their schema."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import pytest

from airmem.codec.trace import encode
from airmem.model.noun import replace
from airmem.model.trace import Trace, TraceFile, TraceMode
from airmem.questions.trace import Room, answer_clean, answer_launch, answer_list, find_old, plan_command
from airmem.render import as_text
from airmem.views.trace import view_plan, view_trace

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schema/trace.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    """The documents of a real trace, of a list and of cleaning."""
    place = str(tmp_path_factory.mktemp("traces") / "place")
    plan = plan_command((sys.executable, "-c", "print()"), TraceMode(), Room(place=place, budget_bytes=None))
    report, status, was_asked = answer_launch(plan, lambda _: None)
    assert (status, was_asked) == (0, False)
    found = [report, answer_list(place)]
    found.append(answer_clean(place, find_old(place, 0.0)))
    return [json.loads(json.dumps(encode(one))) for one in found]


def closed(node):
    """Allow no key that an object's schema does not name."""
    return {**node, "additionalProperties": False} if "properties" in node and "type" in node else node


def test_real_documents_have_every_key_of_the_schema_and_no_other(documents):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    strict = json.loads(json.dumps(SCHEMA), object_hook=closed)
    for document in documents:
        jsonschema.validate(document, strict, jsonschema.Draft202012Validator)
    assert [one["action"] for one in documents] == ["trace", "list", "clean"]
    assert documents[0]["traces"][0]["files"][0]["verdict"] == "complete"
    assert documents[2]["freed_bytes"] == sum(file["size_bytes"] for file in documents[1]["traces"][0]["files"]) > 0


def test_a_wrong_document_is_not_valid(documents):
    wrong = {**documents[0], "free_bytes": "much"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(("name", "noun"), [("trace", Trace), ("file", TraceFile)])
def test_the_schema_has_every_field_of_a_noun(name, noun):
    assert set(SCHEMA["$defs"][name]["properties"]) == set(noun.__slots__)


def test_the_schema_has_every_field_of_a_mode():
    assert set(SCHEMA["$defs"]["mode"]["properties"]) == {"name", *TraceMode.__slots__}


def test_a_list_fits_a_terminal_of_80_columns(tmp_path):
    place = str(tmp_path / "a-place-with-a-long-name" / "of-traces")
    plan = plan_command((sys.executable, "-c", "print()"), TraceMode(), Room(place=place, budget_bytes=None))
    answer_launch(replace(plan, label="a_component_with_a_name_of_40_characters"), lambda _: None)
    report = answer_list(place)
    shown = as_text.render(view_trace(report), 80).split("\n")
    table = [line for line in shown if line.startswith(("TRACED", "a_component"))]
    assert len(table) == 2
    assert max(map(len, table)) <= 80
    whole = as_text.render(view_trace(report))
    assert report.traces[0].folder.rpartition("/")[2] in whole


def test_a_long_title_is_cut_before_it_begins():
    plan = plan_command((sys.executable, "-c", "1" * 9000), TraceMode(), Room(place=None, budget_bytes=None))
    assert len(as_text.render(view_plan(plan)).split("\n")[0]) < 300
