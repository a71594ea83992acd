"""Which room may import which, no cycles, and nothing heavy before it is needed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

import pytest

from tests.architecture.house import (
    ALLOWED,
    FOR_ALL,
    HOUSE,
    PACKAGE,
    READING,
    ROOT,
    THINKING,
    Import,
    Module,
    parse,
    words,
)

NOT_FOR_THINKING = words(
    "os time subprocess psutil click socket pathlib shutil tempfile glob signal ctypes mmap fcntl threading"
)
"""Whatever touches the world or waits for it."""

ONLY_IN = {
    "rich": ("airmem.tui",),
    "textual": ("airmem.tui",),
    "subprocess": ("airmem.probes.runner", "airmem.probes.payloads", "airmem.demo"),
    "psutil": ("airmem.collect",),
    "time": ("airmem.collect", "airmem.probes", "airmem.demo", "airmem.capture.collector"),
    "jinja2": ("airmem.render.as_html",),
    "memray": ("airmem.probes",),
    "click": ("airmem.commands", "airmem.group", "airmem._click"),
}
"""Module of somebody else -> the places that may import it."""

BY_NAME = (
    "airmem.group", "airmem._click", "airmem.services.detect", "airmem.codec.document", "airmem.probes.payloads.freeze_trial"
)  # fmt: skip
"""These import modules whose names they make up: commands, detectors and encoders, by file; what click does not need; and
what the user names."""

MADE_OF_TYPING = words("NamedTuple Protocol Generic TypeVar")
HEAVY = words("numpy rich psutil memray jinja2 textual sqlite3 asyncio http urllib email subprocess")


def violations_of_table(modules: Iterable[Module]) -> list[str]:
    """A room imports a room that its row does not name."""
    found = []
    for module in modules:
        allowed = ALLOWED.get(module.room, frozenset()) | FOR_ALL | {module.room}
        found += [
            f"{module.name}:{one.line}: {module.room} imports {one.target}"
            for one in module.imports()
            if one.room and one.room not in allowed
        ]
    return found


def violations_of_root(modules: Iterable[Module]) -> list[str]:
    """Somebody imports the package root, by a relative name, or airflow."""
    found = []
    for module in modules:
        for one in module.imports():
            if one.room == "" and one.target != "airmem._version":
                found.append(f"{module.name}:{one.line}: imports the package root")
            if one.is_relative:
                found.append(f"{module.name}:{one.line}: imports by a relative name")
            if one.top == "airflow":
                found.append(f"{module.name}:{one.line}: imports airflow")
    return found


def violations_of_thinking(modules: Iterable[Module]) -> list[str]:
    """A room of pure functions imports a module or a room that touches the world."""
    return [
        f"{module.name}:{one.line}: {module.room} thinks, but imports {one.target}"
        for module in modules
        if module.room in THINKING
        for one in module.imports()
        if one.top in NOT_FOR_THINKING or one.room in READING
    ]


def violations_of_only_in(modules: Iterable[Module]) -> list[str]:
    """A module that belongs to one place is imported elsewhere."""
    return [
        f"{module.name}:{one.line}: imports {one.module}, which belongs to {' and '.join(ONLY_IN[one.top])}"
        for module in modules
        for one in module.imports()
        if one.top in ONLY_IN and not any(_is_within(module.name, place) for place in ONLY_IN[one.top])
    ]


def violations_of_numpy(modules: Iterable[Module]) -> list[str]:
    """The nouns know numpy's types only by name."""
    return [
        f"{module.name}:{one.line}: imports {one.module} outside TYPE_CHECKING"
        for module in modules
        if module.room == "model"
        for one in module.imports()
        if one.top == "numpy" and not one.is_for_types
    ]


def violations_of_typing(modules: Iterable[Module]) -> list[str]:
    """`typing` is loaded for more than a class made of it, by a module that does not run alone in an old Python."""
    return [
        f"{module.name}:{one.line}: imports typing.{one.name} outside TYPE_CHECKING"
        for module in modules
        if module.name not in ("airmem.capture.collector", "airmem.capture.frames")
        for one in module.imports()
        if one.top == "typing" and not one.is_for_types and one.name not in MADE_OF_TYPING
    ]


def violations_of_commands(modules: Iterable[Module]) -> list[str]:
    """A command imports another command; what they share is in files with an underscore."""
    return [
        f"{module.name}:{one.line}: imports the command {one.target}"
        for module in modules
        if module.room == "commands"
        for one in module.imports()
        if one.room == "commands" and not _shared_part(one).startswith("_")
    ]


def violations_of_privacy(modules: Iterable[Module]) -> list[str]:
    """A private name is imported by another file, or a private file by another room."""
    found = []
    for module in modules:
        for one in module.imports():
            if one.room in (None, "", "_version"):
                continue
            if one.name.startswith("_") and one.name != "__version__":
                found.append(f"{module.name}:{one.line}: imports the private {one.target}")
            is_private_file = any(part.startswith("_") for part in one.module.split(".")[2:])
            if is_private_file and one.room != module.room:
                found.append(f"{module.name}:{one.line}: imports the private file {one.module}")
    return found


def violations_of_names(modules: Iterable[Module]) -> list[str]:
    """A module is imported under a name made up at run time where nothing requires it."""
    return [
        f"{module.place(node)}: imports a module by a made-up name"
        for module in modules
        if module.name not in BY_NAME
        for node in module.nodes()
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")
    ]


def cycles(modules: Iterable[Module]) -> list[str]:
    """Modules that import each other, even if late or only for types."""
    everything = list(modules)
    names = {module.name for module in everything}
    edges = {module.name: sorted(_targets(module, names)) for module in everything}
    found: list[str] = []
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            found.append(" -> ".join([*path[path.index(name) :], name]))
        elif name not in done:
            for other in edges[name]:
                visit(other, [*path, name])
            done.add(name)

    for name in edges:
        visit(name, [])
    return found


def heavy_at_start(modules: Iterable[Module], first: str) -> list[str]:
    """What importing one module loads that a command which does not need it would have to pay for."""
    by_name = {module.name: module for module in modules}
    pending, seen, found = [first], {first}, []
    while pending:
        module = by_name[pending.pop()]
        for one in module.imports():
            if one.is_for_types or not one.is_at_start:
                continue
            if one.top in HEAVY:
                found.append(f"{first} loads {one.module} through {module.name}:{one.line}")
            for target in (one.module, one.target):
                if target in by_name and target not in seen:
                    seen.add(target)
                    pending.append(target)
    return found


def _is_within(name: str, place: str) -> bool:
    return name == place or name.startswith(place + ".")


def _shared_part(one: Import) -> str:
    parts = one.target.split(".")
    return parts[2] if len(parts) > 2 else ""


def _targets(module: Module, names: set[str]) -> set[str]:
    found = set()
    for one in module.imports():
        found.add(one.target if one.target in names else one.module)
    return (found & names) - {"airmem"}


CHECKS = [
    violations_of_table,
    violations_of_root,
    violations_of_thinking,
    violations_of_only_in,
    violations_of_numpy,
    violations_of_typing,
    violations_of_commands,
    violations_of_privacy,
    violations_of_names,
    cycles,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_house_keeps_the_rule(check):
    assert check(HOUSE) == [], check.__doc__


def test_every_room_has_a_row_in_the_table():
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix in ("", ".py")}
    assert rooms - {"__init__", "__pycache__", "py.typed"} <= set(ALLOWED)
    assert set(ALLOWED) >= READING | THINKING


def test_the_table_in_the_docs_is_this_one():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", page, re.MULTILINE))
    shown = {room: frozenset(allowed.replace(",", " ").split()) for room, allowed in rows.items()}
    assert shown == {room: allowed for room, allowed in ALLOWED.items() if room not in (*FOR_ALL, "")}


def test_the_tree_in_the_docs_has_every_room():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tree = page.partition("\n## The tree\n")[2].partition("\n## ")[0]
    names = {path.name + "/" * path.is_dir() for path in PACKAGE.iterdir()} - {
        "__init__.py",
        "__pycache__/",
        "py.typed",
    }
    assert names == set(re.findall(r"^  (\w+(?:/|\.py))", tree.partition("\ntests/")[0], re.MULTILINE))


@pytest.mark.parametrize(
    "first",
    [module.name for module in HOUSE if module.room in ("__main__", "cli", "group", "commands", "questions")],
)
def test_nothing_heavy_is_loaded_at_start(first):
    assert heavy_at_start(HOUSE, first) == []


@pytest.mark.parametrize(
    ("check", "name", "text"),
    [
        (violations_of_table, "airmem.kernel.smaps", "from airmem.collect.tree import collect_tree"),
        (violations_of_table, "airmem.views.pss", "def f() -> None:\n    import airmem.render.as_json"),
        (violations_of_table, "airmem.rules.memory", "if TYPE_CHECKING:\n    from airmem.collect import clock"),
        (violations_of_table, "airmem.lounge.sofa", "from airmem.model.gap import Gap"),
        (violations_of_root, "airmem.codec", "from airmem import units"),
        (violations_of_root, "airmem.codec", "import airmem"),
        (violations_of_root, "airmem.kernel.stat", "from .smaps import parse_smaps"),
        (violations_of_root, "airmem.services.airflow", "from airflow.models import DagRun"),
        (violations_of_thinking, "airmem.analysis.sharing", "import os.path"),
        (violations_of_thinking, "airmem.rules.memory", "from airmem.kernel.reader import KernelReader"),
        (violations_of_thinking, "airmem.render.as_json", "try:\n    pass\nexcept OSError:\n    import time"),
        (violations_of_only_in, "airmem.commands.pss", "from rich.table import Table"),
        (violations_of_only_in, "airmem.commands.pss", "import subprocess"),
        (violations_of_only_in, "airmem.kernel.stat", "import psutil"),
        (violations_of_numpy, "airmem.model.pages", "import numpy as np"),
        (violations_of_typing, "airmem.model.pages", "from typing import TYPE_CHECKING"),
        (violations_of_commands, "airmem.commands.cow", "from airmem.commands.pss import command"),
        (violations_of_commands, "airmem.commands.cow", "from airmem.commands import pss"),
        (violations_of_privacy, "airmem.render.as_csv", "from airmem.render.as_json import _encode"),
        (violations_of_privacy, "airmem.tui.app", "from airmem.commands._output import write"),
        (violations_of_names, "airmem.analysis.cow", "importlib.import_module(name)"),
    ],
)
def test_a_violation_is_found(check, name, text):
    assert len(check([parse(name, text)])) == 1


def test_what_is_allowed_is_not_found():
    text = (
        "import json\nfrom airmem._version import __version__\nfrom airmem.errors import Malformed\n"
        "from airmem.model.gap import Gap\nfrom airmem.commands._output import write\n"
    )
    module = parse("airmem.commands.pss", text)
    assert [found for check in CHECKS for found in check([module])] == []


def test_a_cycle_is_found():
    ring = [
        parse("airmem.model.a", "from airmem.model import b"),
        parse("airmem.model.b", "def f() -> None:\n    from airmem.model.c import x"),
        parse("airmem.model.c", "import airmem.model.a"),
        parse("airmem.model.d", "import airmem.model.a"),
    ]
    assert cycles(ring) == ["airmem.model.a -> airmem.model.b -> airmem.model.c -> airmem.model.a"]


def test_a_heavy_import_is_found_and_a_late_one_is_none():
    modules = [
        parse("airmem.cli", "import airmem.codec\ndef f() -> None:\n    import rich"),
        parse("airmem.codec", "import numpy"),
    ]
    assert heavy_at_start(modules, "airmem.cli") == ["airmem.cli loads numpy through airmem.codec:1"]
