"""Sizes, annotations, docstrings and file names."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

import pytest

from tests.architecture.house import HOUSE, Module, parse

MOST_LINES_OF_FILE = 400
MOST_LINES_OF_FUNCTION = 60
VAGUE_FILES = frozenset({"utils", "util", "common", "helpers", "helper", "misc", "tools", "core", "base", "shared"})

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def long_files(modules: Iterable[Module]) -> list[str]:
    """A file is longer than anybody reads at once."""
    lengths = [(module, len(module.text.splitlines())) for module in modules]
    return [f"{module.name}: {lines} lines" for module, lines in lengths if lines > MOST_LINES_OF_FILE]


def long_functions(modules: Iterable[Module]) -> list[str]:
    """A function is longer than a screen."""
    found = []
    for module in modules:
        for node in module.functions():
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > MOST_LINES_OF_FUNCTION:
                found.append(f"{module.place(node)}: {node.name} has {lines} lines")
    return found


def bare_functions(modules: Iterable[Module]) -> list[str]:
    """A parameter or a result has no type."""
    found = []
    for module in modules:
        for node in module.functions():
            bare = [argument.arg for argument in _arguments(node) if argument.annotation is None]
            bare = [name for name in bare if name not in ("self", "cls")]
            if node.returns is None:
                bare.append("its result")
            found += [f"{module.place(node)}: {node.name} does not type {name}" for name in bare]
    return found


def silent_definitions(modules: Iterable[Module]) -> list[str]:
    """A module, or a public class or function, does not say what it is."""
    found = []
    for module in modules:
        if not ast.get_docstring(module.tree):
            found.append(f"{module.name}: no docstring")
        for node in _public(module.tree.body):
            if not ast.get_docstring(node):
                found.append(f"{module.place(node)}: {node.name} has no docstring")
    return found


def vague_files(modules: Iterable[Module]) -> list[str]:
    """A file's name says nothing of what is in it."""
    return [module.name for module in modules if module.file.strip("_") in VAGUE_FILES]


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    arguments = node.args
    extra = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra]


def _public(body: list[ast.stmt]) -> Iterator[Definition]:
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)


CHECKS = [long_files, long_functions, bare_functions, silent_definitions, vague_files]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_house_keeps_the_rule(check):
    assert check(HOUSE) == [], check.__doc__


@pytest.mark.parametrize(
    ("check", "name", "text"),
    [
        (long_files, "airmem.codec", "x = 1\n" * 401),
        (long_functions, "airmem.codec", "def f() -> None:\n" + "    x = 1\n" * 60),
        (bare_functions, "airmem.codec", "def f(x) -> None: ..."),
        (bare_functions, "airmem.codec", "def f(*words) -> None: ..."),
        (bare_functions, "airmem.codec", "class A:\n    def f(self):\n        ..."),
        (bare_functions, "airmem.codec", "def f() -> None:\n    def g(x: int): ..."),
        (silent_definitions, "airmem.codec", "x = 1"),
        (silent_definitions, "airmem.codec", "'''Doc.'''\ndef f() -> None: ..."),
        (silent_definitions, "airmem.codec", "'''Doc.'''\nclass A:\n    '''Doc.'''\n    def f(self) -> None: ..."),
        (vague_files, "airmem.kernel.utils", ""),
        (vague_files, "airmem.commands._common", ""),
    ],
)
def test_a_violation_is_found(check, name, text):
    assert len(check([parse(name, text)])) == 1


def test_what_is_private_may_be_silent():
    text = "'''Doc.'''\ndef _f() -> None: ...\nclass _A:\n    def f(self) -> None: ..."
    assert silent_definitions([parse("airmem.codec", text)]) == []
