"""The nouns in airmem/model: frozen, and every number says its unit."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

import pytest

from tests.architecture.house import HOUSE, Module, parse

FROZEN = ("frozen", "slots", "kw_only")
UNITS = ("_bytes", "_pages", "_seconds", "_ticks", "_ratio", "_count", "_pid", "_uid", "_gid", "_id", "_address",
         "_mode", "_capabilities")  # fmt: skip
UNITLESS = {
    "pid": "the kernel's word",
    "flags": "PF_* bits of /proc/PID/stat",
    "inode": "the kernel's word",
    "depth": "steps below the root of a tree of processes",
    "version": "of a control group's hierarchy: 1 or 2",
    "cgroup_version": "the same",
    "ptrace_scope": "Yama's word: 0 to 3",
}
"""Numbers without a unit in their name -> why."""


def soft_nouns(modules: Iterable[Module]) -> list[str]:
    """A noun can be changed, grows attributes, or takes its fields by position."""
    found = []
    for module, node in _classes(modules):
        options = _dataclass_options(node)
        if options is None:
            if not _is_protocol(node):
                found.append(f"{module.place(node)}: {node.name} is neither a dataclass nor a protocol")
        else:
            found += [f"{module.place(node)}: {node.name} is not {name}" for name in FROZEN if name not in options]
    return found


def unitless_numbers(modules: Iterable[Module]) -> list[str]:
    """A number does not say its unit."""
    found = []
    for module, node in _classes(modules):
        for field in node.body:
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            name = field.target.id
            if _is_number(field.annotation) and name not in UNITLESS and not name.endswith(UNITS):
                found.append(f"{module.place(field)}: {node.name}.{name}")
    return found


def _classes(modules: Iterable[Module]) -> Iterator[tuple[Module, ast.ClassDef]]:
    for module in modules:
        if module.room == "model":
            for node in module.nodes():
                if isinstance(node, ast.ClassDef):
                    yield module, node


def _dataclass_options(node: ast.ClassDef) -> set[str] | None:
    for decorator in node.decorator_list:
        name = decorator.func if isinstance(decorator, ast.Call) else decorator
        if ast.unparse(name).endswith("dataclass"):
            keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
            return {word.arg or "" for word in keywords if ast.unparse(word.value) == "True"}
    return None


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).endswith("Protocol") for base in node.bases)


def _is_number(annotation: ast.expr) -> bool:
    words = {part.strip() for part in ast.unparse(annotation).split("|")}
    return bool(words & {"int", "float"})


CHECKS = [soft_nouns, unitless_numbers]
NOUN = "@dataclass(frozen=True, slots=True, kw_only=True)\nclass A:\n    "


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_house_keeps_the_rule(check):
    assert check(HOUSE) == [], check.__doc__


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (soft_nouns, "class A:\n    rss_bytes: int"),
        (soft_nouns, "@dataclass(frozen=True, slots=True)\nclass A:\n    rss_bytes: int"),
        (soft_nouns, "@dataclasses.dataclass(frozen=False, slots=True, kw_only=True)\nclass A:\n    rss_bytes: int"),
        (unitless_numbers, NOUN + "rss: int"),
        (unitless_numbers, NOUN + "swap_kb: int | None = None"),
        (unitless_numbers, NOUN + "duration: float"),
    ],
)
def test_a_violation_is_found(check, text):
    assert len(check([parse("airmem.model.memory", text)])) == 1


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_noun_passes(check):
    text = NOUN + "rss_bytes: int | None = None\n    title: str = ''\n    pid: int = 0"
    assert check([parse("airmem.model.memory", text)]) == []
