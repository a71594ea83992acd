"""Real documents of `airmem trace`, compared with their schema."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema
import pytest

from airmem.codec.trace import encode
from airmem.model.trace import Trace, TraceFile, TraceMode
from airmem.questions.trace import Room, answer_clean, answer_launch, answer_list, find_old, plan_command

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
