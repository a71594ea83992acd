"""The source of airmem, parsed once, and the table of which room may import which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airmem"

ALLOWED: dict[str, frozenset[str]] = {
    room: frozenset(others.split())
    for room, others in {
        "model": "",
        "codec": "model",
        "kernel": "model",
        "probes": "model",
        "collect": "kernel probes model",
        "recording": "codec kernel model",
        "capture": "codec kernel model",
        "services": "model",
        "cpython": "model",
        "analysis": "services cpython model",
        "rules": "analysis services model",
        "questions": "collect recording capture codec analysis rules services model",
        "views": "rules analysis services model",
        "render": "views codec model",
        "tui": "questions views render model",
        "exporter": "questions views render model",
        "demo": "",
        "commands": "questions views render tui exporter model demo",
        "cli": "commands group render",  # escapes its error lines
        "group": "_click",  # finds commands by file
        "_click": "",
        "__main__": "cli",
        "errors": "",
        "units": "",
        "_version": "",
        "": "",  # airmem/__init__.py
    }.items()
}
"""Room -> the rooms it may import besides itself and FOR_ALL. docs/architecture.md shows the same table."""

FOR_ALL = frozenset({"errors", "units", "_version"})

READING = frozenset({"kernel", "probes", "collect", "recording", "capture"})
THINKING = frozenset({"analysis", "rules", "views", "services", "cpython", "render", "model"})


@dataclass(frozen=True)
class Import:
    """One imported module by its full name: `rich.table`, `airmem.model.process`; `name` is what was asked of it."""

    module: str
    name: str
    line: int
    is_relative: bool
    is_for_types: bool
    is_at_start: bool

    @property
    def top(self) -> str:
        """The first part: `rich`."""
        return self.module.partition(".")[0]

    @property
    def room(self) -> str | None:
        """The room of airmem that it names, `` for the package root, None for a module of somebody else."""
        return room_of(self.module) if self.top == "airmem" else None

    @property
    def target(self) -> str:
        """What is loaded if `name` is a module."""
        return f"{self.module}.{self.name}" if self.name else self.module


@dataclass(frozen=True, eq=False)
class Module:
    """One source file."""

    name: str
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """Its room: `airmem.kernel.smaps` is in kernel."""
        return room_of(self.name)

    @property
    def file(self) -> str:
        """Its last part without `.py`."""
        return self.name.rpartition(".")[2]

    def imports(self) -> tuple[Import, ...]:
        """Return all imports, wherever they stand."""
        return _imports_of(self)

    def nodes(self) -> tuple[ast.AST, ...]:
        """Return every node of its syntax tree."""
        return _nodes_of(self)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Walk over every function, nested ones too."""
        for node in self.nodes():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def place(self, node: ast.AST) -> str:
        """Return where a node stands, for a message."""
        return f"{self.name}:{getattr(node, 'lineno', 0)}"


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def room_of(name: str) -> str:
    """Return the room of a module's full name."""
    return [*name.split("."), ""][1]


def parse(name: str, text: str) -> Module:
    """Return a module from its source."""
    return Module(name, text, ast.parse(text))


def load() -> tuple[Module, ...]:
    """Return every module of the package."""
    modules = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        modules.append(parse(name, path.read_text(encoding="utf-8")))
    return tuple(modules)


@cache
def _imports_of(module: Module) -> tuple[Import, ...]:
    return tuple(_imports(module.tree.body, is_for_types=False, is_at_start=True))


@cache
def _nodes_of(module: Module) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(module.tree))


def _imports(body: list[ast.stmt], is_for_types: bool, is_at_start: bool) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "", node.lineno, False, is_for_types, is_at_start)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(node.module or "", alias.name, node.lineno, node.level > 0, is_for_types, is_at_start)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.body, True, is_at_start)
            yield from _imports(node.orelse, is_for_types, is_at_start)
        else:
            is_late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from _imports(_statements(node), is_for_types, is_at_start and not is_late)


def _statements(node: ast.AST) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            found.append(child)
        elif isinstance(child, ast.excepthandler | ast.match_case | ast.withitem):
            found += _statements(child)
    return found


HOUSE = load()
