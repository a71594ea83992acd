"""Names that mean one thing, and one spelling."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.architecture.house import HOUSE, ROOT, Module, parse, words

AMBIGUOUS = words("sample samples usage info infos data stats manager managers util utils helper helpers")
ALLOWED = {
    "usage": "a control group's memory.current, which the kernel's documents and JSON readers call so",
    "usage_bytes": "the same",
    "USAGE_FILE": "the same",
    "UsageProblem": "of the command line, as in exit status 2",
    "data_bytes": "the field's word for what workers write on purpose, as in the demo's mode",
    "DATA_RATIO": "the same",
    "DATA": "the cause of that name, as in data_bytes",
}
"""Identifiers with an ambiguous word -> what it means there."""

BRITISH = re.compile(
    r"\b(colour|behaviour|favour|honour|neighbour|labour|analys(e[drs]?|ing)|"
    r"(serial|summar|initial|recogn|organ|normal|synchron|optim|minim|maxim|visual|special|general|categor|priorit|custom|"
    r"final|util|emphas|author|standard|character|parallel|random|anonym|token|capital|central|local|memo)is(e[drs]?|ing|ation)|"
    r"catalogue|centre[ds]?|metre|licence|defence|cancell(ed|ing)|labell(ed|ing)|modell(ed|ing)|travell(ed|ing)|"
    r"signall(ed|ing)|grey|artefact|whilst|learnt|programme)s?\b",
    re.IGNORECASE,
)

TEXTS = [
    *sorted((ROOT / "airmem").rglob("*.py")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "docs").glob("*.py")),
    *sorted(ROOT.glob("*.md")),
    *(path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__)),
]


def ambiguous_names(modules: Iterable[Module]) -> list[str]:
    """A name holds a word that means two things."""
    return [
        f"{module.name}:{line}: {name}"
        for module in modules
        for line, name in _names(module)
        if name not in ALLOWED and AMBIGUOUS.intersection(_words(name))
    ]


def british_words(text: str) -> list[str]:
    """Words in another spelling than the house's."""
    return [match.group() for match in BRITISH.finditer(text)]


def _names(module: Module) -> Iterator[tuple[int, str]]:
    yield 0, module.file
    for node in module.nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def _words(name: str) -> set[str]:
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


def test_names_mean_one_thing():
    assert ambiguous_names(HOUSE) == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_spelling_is_american(path):
    assert british_words(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    ["def read_data() -> None: ...", "class PoolManager: ...", "heap_info = 1", "def f(stats: int) -> None: ...",
     "self.samples = 1", "for sampleCount in x: ..."],
)  # fmt: skip
def test_an_ambiguous_name_is_found(text):
    assert len(ambiguous_names([parse("airmem.analysis.growth", text)])) == 1


def test_a_word_of_the_kernel_is_allowed():
    text = "usage_bytes = parse_mountinfo(database)"
    assert ambiguous_names([parse("airmem.kernel.cgroup", text)]) == []


def test_another_spelling_is_found():
    assert british_words("analyze the color of an artifact") == []
    assert british_words("Analysing the behaviours, normalised") == ["Analysing", "behaviours", "normalised"]
