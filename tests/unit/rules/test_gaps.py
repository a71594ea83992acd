"""Each reason for a gap has a remedy, and each remedy a reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from airmem.model.gap import Gap
from airmem.rules.allocation import UNREAD
from airmem.rules.gaps import DENIED, REMEDIES, UNMEASURABLE, advise
from tests.architecture.house import HOUSE, Module, parse

SOURCES = [
    module
    for module in HOUSE
    if not module.name.startswith(("airmem.rules", "airmem.model")) or module.name == "airmem.model.process"
]


def reasons_of(modules: list[Module]) -> dict[str, str]:
    """Return the reasons that occur in the source, with a place of each.

    A reason is what is passed to a parameter (or field) called `reason`, or the first of the two texts that a function
    returns as its (reason, detail).
    """
    positions = {"Gap": -1}
    for module in modules:
        for node in module.functions():
            names = [argument.arg for argument in node.args.args]
            if "reason" in names:
                positions[f"{module.name}.{node.name}"] = names.index("reason")
                positions.setdefault(node.name, names.index("reason"))
    return {value: place for module in modules for value, place in _in_module(module, positions)}


def _in_module(module: Module, positions: dict[str, int]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(module.tree):
        found: list[ast.expr] = []
        if isinstance(node, ast.Call):
            found = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            position = positions.get(f"{module.name}.{name}", positions.get(name, -1))
            if 0 <= position < len(node.args):
                found.append(node.args[position])
        elif isinstance(node, ast.FunctionDef) and "(reason, detail)" in (ast.get_docstring(node) or ""):
            pairs = [one.value for one in ast.walk(node) if isinstance(one, ast.Return)]
            found = [pair.elts[0] for pair in pairs if isinstance(pair, ast.Tuple)]
        for expression in found:
            if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
                yield expression.value, f"{module.name}:{expression.lineno}"


def test_each_reason_has_a_remedy():
    missing = {reason: place for reason, place in reasons_of(SOURCES).items() if reason not in REMEDIES}
    assert missing == {}


def test_each_remedy_has_a_reason():
    of_verdicts = UNREAD  # a capture's verdict is the reason why it has no figures
    assert set(REMEDIES) - set(reasons_of(SOURCES)) == of_verdicts


@pytest.mark.parametrize(
    "text",
    [
        "gap(1, 'fact', 'unheard_of', 'detail')",
        "Gap(pid=1, fact='f', reason='unheard_of', detail='d')",
        "def g(reason, detail): ...\ng('unheard_of', 'd')",
        "def f():\n    '''Return (reason, detail).'''\n    return 'unheard_of', 'd'",
    ],
)
def test_a_new_reason_is_found(text):
    definition = parse("airmem.collect.gaps", "def gap(pid, fact, reason, detail): ...")
    assert "unheard_of" in reasons_of([definition, parse("airmem.collect.new", text)])


@pytest.mark.parametrize("reason", REMEDIES)
def test_a_remedy_says_what_to_do(reason):
    [gap] = advise((Gap(pid=1, fact="f", reason=reason, detail="d"),))
    assert len(gap.remedy) > 8
    assert not gap.remedy.removesuffix("...").endswith(".")
    assert gap.detail == "d"


def test_a_remedy_that_is_given_stays():
    [gap] = advise((Gap(pid=1, fact="f", reason="denied", detail="d", remedy="Ask"),))
    assert gap.remedy == "Ask"


def test_what_ends_in_an_error_is_a_reason_that_occurs():
    assert set(REMEDIES) >= DENIED | UNMEASURABLE
    assert not DENIED & UNMEASURABLE
