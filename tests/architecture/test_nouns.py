"""The nouns in airmem/model: frozen, and every number says its unit."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

import pytest

from tests.architecture.house import HOUSE, Module, parse

UNITS = ("_bytes", "_pages", "_seconds", "_ticks", "_ratio", "_count", "_pid", "_uid", "_gid", "_id", "_address",
         "_mode", "_capabilities", "_mask")  # fmt: skip
UNITLESS = {
    "pid": "the kernel's word",
    "flags": "PF_* bits of /proc/PID/stat",
    "inode": "the kernel's word",
    "count": "objects of a type; the word of airmem heap's JSON",
    "depth": "steps below the root of a tree of processes",
    "version": "of a control group's hierarchy: 1 or 2",
    "status": "the exit status of a program, negative for a signal, as subprocess has it; or of an answer over HTTP",
    "line": "of a source file, counted from 1, as tracebacks name it",
    "seconds": "the unit itself: how long something took",
    "cgroup_version": "the same",
    "ptrace_scope": "Yama's word: 0 to 3",
    "number": "of a system call on one machine",
    "ident": "what threading.get_ident() gives",
    "tid": "the kernel's word",
    "peer_inode": "the kernel's word",
}
"""Numbers without a unit in their name -> why."""


def soft_nouns(modules: Iterable[Module]) -> list[str]:
    """A class of the model is neither a noun nor a protocol: it could be changed, or grow attributes."""
    return [
        f"{module.place(node)}: {node.name}"
        for module, node in _classes(modules)
        if not _is_noun(node) and not _is_protocol(node)
    ]


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
        if module.room == "model" and module.name != "airmem.model.noun":  # what makes nouns is none
            for node in module.nodes():
                if isinstance(node, ast.ClassDef):
                    yield module, node


def _is_noun(node: ast.ClassDef) -> bool:
    return [ast.unparse(decorator) for decorator in node.decorator_list] == ["noun"]


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).endswith("Protocol") for base in node.bases)


def _is_number(annotation: ast.expr) -> bool:
    words = {part.strip() for part in ast.unparse(annotation).split("|")}
    return bool(words & {"int", "float"})


CHECKS = [soft_nouns, unitless_numbers]
NOUN = "@noun\nclass A:\n    "


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_house_keeps_the_rule(check):
    assert check(HOUSE) == [], check.__doc__


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (soft_nouns, "class A:\n    rss_bytes: int"),
        (soft_nouns, "@dataclass(frozen=True, slots=True, kw_only=True)\nclass A:\n    rss_bytes: int"),
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
