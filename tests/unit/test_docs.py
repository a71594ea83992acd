"""What is not documented fails here."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from pathlib import Path

import click
import jsonschema
import pytest
from click.testing import CliRunner

from airmem import cli, errors, group
from airmem.codec.document import encode_report
from airmem.model.cgroup import CgroupMemory
from airmem.model.change import RoleChange, RoleSize, TreeChange
from airmem.model.finding import Finding
from airmem.model.gap import Gap
from airmem.model.lineup import LinedUpMapping, WorkerRange
from airmem.model.sharing import Sharing
from airmem.model.snapshot import Host
from airmem.questions.cow import answer_cow
from airmem.questions.heap import answer_heap, diff_heap, earlier_heap
from airmem.questions.ps import answer_ps
from airmem.questions.pss import answer_pss
from airmem.rules.gaps import REMEDIES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SECTIONS = ("Overhead", "Disturbance", "Permissions", "Exit status", "JSON")
PSS_SCHEMA = json.loads((DOCS / "schema/pss.json").read_text(encoding="utf-8"))

CONTEXT = click.Context(group.airmem)
COMMANDS = {name: group.airmem.get_command(CONTEXT, name) for name in group.airmem.list_commands(CONTEXT)}
OPTIONS = [
    (name, option)
    for name, command in COMMANDS.items()
    for parameter in command.params
    if isinstance(parameter, click.Option)
    for option in parameter.opts
]
CHOICES = [
    (name, choice)
    for name, command in COMMANDS.items()
    for parameter in command.params
    if isinstance(parameter.type, click.Choice)
    for choice in parameter.type.choices
]


def page(path: str) -> str:
    return (DOCS / path).read_text(encoding="utf-8")


ACTIVE = {
    "hang-dump": ("--pause", "--native", "--signal"),
    "trace": ("--attach", "COMPONENT", "COMMAND"),
    "imports": ("",),
    "cow": ("--verify-freeze",),
    "guard": ("CHECK", "--check"),
    "demo": ("",),
}
"""What acts on a process, or starts one."""


def test_the_page_of_permissions_says_what_each_active_command_does():
    text = page("permissions.md")
    lines = text.split("## What airmem does to a process")[1].splitlines()
    asked = " ".join(line.split("|")[1] for line in lines if line.startswith("|"))
    assert [word for name, words in ACTIVE.items() for word in (name, *words) if word not in asked] == []
    passive = text.split("only read")[0].rpartition("**")[2]
    assert {name for name in COMMANDS if name not in ACTIVE and f"`{name}`" not in passive} == {"analyze"}
    never = text.split("## What airmem never does")[1]
    assert all(word in never for word in ("--pause", "trace --attach", "--signal"))


def test_only_what_the_page_of_permissions_names_sends_signals():
    """Each place in the code that sends a signal: a new one must be put on that page first."""
    found = set()
    for path in sorted((ROOT / "airmem").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if re.search(r"\b(os\.kill|os\.killpg|pidfd_send_signal|send_signal|pthread_kill)\(", text):
            found.add(str(path.relative_to(ROOT / "airmem")))
    assert found == {
        "collect/blocking.py",
        "collect/tracing.py",
        "demo/workers.py",
        "kernel/reader.py",
        "probes/check.py",
        "probes/payloads/attach_supervisor.py",
        "probes/payloads/run_traced.py",
        "probes/runner.py",
        "probes/signal_stacks.py",
    }


def command_page(name: str) -> str:
    return page(f"commands/{name}.md")


def headings(path: str, level: int) -> set[str]:
    return set(re.findall(rf"^{'#' * level} (.+)$", page(path), re.MULTILINE))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_page_with_all_sections(name):
    text = command_page(name)
    assert text.startswith(f"# airmem {name}\n")
    assert [section for section in SECTIONS if f"\n## {section}\n" not in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_in_the_list_and_in_the_navigation(name):
    assert f"airmem {name}" in page("commands/index.md")
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert re.search(rf"^ *- {name}: commands/{name}\.md$", navigation, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_with_examples(name):
    result = CliRunner().invoke(group.airmem, [name, "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert f"airmem {name}" in result.output.partition("Examples:")[2]


@pytest.mark.parametrize(
    ("name", "option"), [(name, one.opts) for name, command in COMMANDS.items() for one in command.params]
)
def test_an_option_says_what_it_does(name, option):
    (parameter,) = [one for one in COMMANDS[name].params if one.opts == option]
    assert isinstance(parameter, click.Argument) or parameter.help


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_an_option_is_on_its_commands_page(name, option):
    assert re.search(rf"`[^`\n]*(?<![\w-]){re.escape(option)}(?![\w-])[^`\n]*`", command_page(name))


@pytest.mark.parametrize(("name", "choice"), sorted(set(CHOICES)))
def test_a_choice_is_on_its_commands_page(name, choice):
    text = command_page(name) + page("commands/index.md")
    assert re.search(rf"`[^`\n]*(?<![\w-]){re.escape(choice)}(?![\w-])[^`\n]*`", text)


def test_every_exit_status_is_documented_and_in_the_help():
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.AirmemError)]
    statuses = {0, 1, 2, cli.FAULT, cli.INTERRUPTED} | {one.exit_status for one in classes}
    table = page("commands/index.md").partition("## Exit status")[2].partition("\n## ")[0]
    assert {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == statuses
    text = CliRunner().invoke(group.airmem, ["--help"]).output.partition("Exit status:")[2]
    assert {int(number) for number in re.findall(r"(?<!\S)\d+(?= )", text)} == statuses


def test_every_finding_is_documented_and_no_other():
    codes = {code for path in (ROOT / "airmem").rglob("*.py") for code in re.findall(r'"(AM\d{3})"', path.read_text())}
    assert {one for one in headings("commands/findings.md", 2) if one.startswith("AM")} == codes
    assert set(re.findall(r"^\| \[(AM\d+)\]", page("commands/findings.md"), re.MULTILINE)) == codes


@pytest.mark.parametrize("reason", REMEDIES)
def test_a_gap_reason_is_documented_and_has_a_remedy(reason):
    assert reason in headings("commands/gaps.md", 3)
    assert REMEDIES[reason]


def test_no_documented_gap_reason_is_made_up():
    assert headings("commands/gaps.md", 3) == set(REMEDIES)


def test_every_reason_in_the_code_has_a_remedy():
    given = set()
    for path in (ROOT / "airmem").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "reason" and isinstance(node.value, ast.Constant):
                given.add(node.value.value)
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and "access" in path.name:
                given.add(getattr(node.value.elts[0], "value", None))
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("_gap"):
                words = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                given |= {word for word in words if word in REMEDIES or re.fullmatch(r"no_\w+|\w+_(un)?readable", word)}
    assert len(given) > 10
    assert given - {None} <= set(REMEDIES)


NOUNS = {
    "sharing": Sharing,
    "cgroup": CgroupMemory,
    "gap": Gap,
    "finding": Finding,
    "mapping": LinedUpMapping,
    "worker_range": WorkerRange,
    "diff": TreeChange,
    "role_change": RoleChange,
    "role_size": RoleSize,
}


@pytest.mark.parametrize("name", NOUNS)
def test_the_schema_has_every_field_of_a_noun(name):
    schema = PSS_SCHEMA["$defs"][name]
    assert set(schema["properties"]) == set(NOUNS[name].__slots__)
    assert set(schema["required"]) == set(schema["properties"])


def test_the_schema_has_every_field_of_the_host():
    schema = PSS_SCHEMA["properties"]["host"]
    assert set(schema["properties"]) == set(schema["required"]) == set(Host.__slots__)


def look_at_forked_child(pid):
    """Fork a child that ends when this process closes its pipe, and return what it copied."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    try:
        report = answer_cow(pid, fraction_ratio=0.5)
    finally:
        os.close(writing)
        os.waitpid(child, 0)
    assert child in [one.process.pid for one in report.workers]
    return report


@pytest.fixture(scope="module")
def documents():
    """Real documents of `airmem pss`, about the process of this test."""
    pid = os.getpid()
    plain = encode_report(answer_pss(pid, "rollup"))
    documents = [plain, encode_report(answer_pss(pid, "status")), encode_report(answer_pss(pid, "auto"))]
    documents.append(encode_report(answer_pss(pid, with_mappings=True, earlier=plain)))
    documents.append(encode_report(answer_ps(pid)))
    first = answer_heap(pid, wanted_type="builtins.function")
    documents.append(encode_report(diff_heap(earlier_heap(first), first)))
    documents.append(encode_report(look_at_forked_child(pid)))
    return [json.loads(json.dumps(document)) for document in documents]


def schema_of(document):
    return json.loads((DOCS / f"schema/{document['command']}.json").read_text(encoding="utf-8"))


def test_real_documents_are_valid(documents):
    for document in documents:
        jsonschema.Draft202012Validator.check_schema(schema_of(document))
        jsonschema.validate(document, schema_of(document), jsonschema.Draft202012Validator)


def test_a_wrong_document_is_not_valid(documents):
    wrong = {**documents[0], "tree": {**documents[0]["tree"], "rss_sum_bytes": "150 MB"}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, PSS_SCHEMA, jsonschema.Draft202012Validator)


def test_every_key_of_a_real_document_is_in_the_schema(documents):
    for document in documents:
        closed = json.loads(json.dumps(schema_of(document)), object_hook=close)
        jsonschema.validate(document, closed, jsonschema.Draft202012Validator)
    keys = {key for document in documents for key in document}
    assert {"mappings", "diff", "services"} <= keys


def close(node: dict[str, object]) -> dict[str, object]:
    """Allow no key that an object's schema does not name."""
    return {**node, "additionalProperties": False} if "properties" in node and "type" in node else node


def test_every_schema_describes_every_key_and_its_table_is_current():
    sys.path.insert(0, str(DOCS))
    try:
        import make_examples
    finally:
        sys.path.remove(str(DOCS))
    for name, table in make_examples.make_keys():
        assert page(f"examples/{name}") == table, "run: python docs/make_examples.py"
        assert f'"examples/{name}"' in page("commands/json.md")
        assert " |  |" not in table


def test_every_example_is_used_and_names_nobodys_machine():
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    examples = sorted((DOCS / "examples").iterdir())
    assert [path.name for path in examples if f'--8<-- "examples/{path.name}"' not in pages] == []
    leaks = re.compile(r"/(?:home|root|tmp|usr|opt)/|Traceback")
    assert [path.name for path in examples if leaks.search(path.read_text(encoding="utf-8"))] == []
