"""Who opens files: kernel files only the reader, and only to read; answers only the output file."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import pytest

from tests.architecture.house import HOUSE, THINKING, Module, parse, words

READER = "airmem.kernel.reader"
RECORDER = "airmem.probes.payloads.import_recorder"
DOORS = (
    READER,
    "airmem.commands",
    "airmem.cli",
    "airmem.group",
    "airmem.recording",
    "airmem.capture",
    "airmem.probes.runner",
    "airmem.probes.memray_file",
    "airmem.probes.installed",
    "airmem.probes.memray_reader",
    "airmem.probes.flamegraph",
    "airmem.probes.payloads",
    "airmem.probes.traces",
    "airmem.probes.programs",
    "airmem.kernel.root_files",
)
"""Only these open files or list folders: commands those that their options name, probes captures and what is installed,
root_files the sources that a process sees, payloads those of the Python they run
in. Of them, only the READERS open kernel files."""

READERS = (
    READER,
    "airmem.capture.collector",
    "airmem.capture.frames",
    RECORDER,
    "airmem.probes.payloads.freeze_trial",
    "airmem.probes.payloads.attach_supervisor",
    "airmem.probes.payloads.attach_memray",
)
"""The collector, its page tables and payloads read by themselves, because they run alone where airmem is not installed; the
supervisor, because it must go on when airmem is killed; attach_memray names a file of its own memory to gdb."""

OPENERS = words("open listdir scandir walk readlink fdopen read_text read_bytes write_text write_bytes")
TOUCHING = OPENERS | words("stat lstat exists isfile isdir islink lexists access Path statvfs glob")
KERNEL_FOLDERS = ("/proc", "/sys", "/dev")
ASKING = ("airmem.kernel.reader.KernelReader", "reader", "files", "self._reader")
"""A call of these goes through the reader, whatever the method is called."""

HARMFUL = ("clear_refs", "drop_caches", "oom_score_adj", "/mem_force")
"""Files of the kernel that change what they tell of."""

CLOCKS = frozenset({"now", "today", "utcnow", "fromtimestamp"})
SPEAKING = frozenset({"print", "input", "exec", "eval"})


def violations_of_doors(modules: Iterable[Module]) -> list[str]:
    """Somebody else opens a file or lists a folder."""
    return [
        f"{module.place(node)}: opens {ast.unparse(node)[:60]}"
        for module in modules
        if not any(module.name == door or module.name.startswith(door + ".") for door in DOORS)
        for node in _calls(module)
        if _verb(node) in OPENERS and not _asks_reader(node)
    ]


def violations_of_reader(modules: Iterable[Module]) -> list[str]:
    """A path of the kernel is touched without the reader."""
    found = []
    for module in modules:
        if module.name in READERS:
            continue
        for node in _calls(module):
            if _verb(node) in TOUCHING and not _asks_reader(node) and _names_kernel_file(node):
                found.append(f"{module.place(node)}: touches {ast.unparse(node)[:60]}")
    return found


def violations_of_reading(modules: Iterable[Module]) -> list[str]:
    """The reader opens something to write, or names a file that changes its process."""
    found = []
    for module in modules:
        for node in module.nodes():
            if module.name in READERS and isinstance(node, ast.Attribute) and node.attr in ("O_WRONLY", "O_RDWR"):
                found.append(f"{module.place(node)}: {node.attr}")
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(HARMFUL):
                found.append(f"{module.place(node)}: {node.value}")
    return found


def violations_of_thinking(modules: Iterable[Module]) -> list[str]:
    """A pure function looks at the clock, prints, or runs text."""
    return [
        f"{module.place(node)}: calls {ast.unparse(node.func)}"
        for module in modules
        if module.room in THINKING
        for node in _calls(module)
        if (isinstance(node.func, ast.Name) and node.func.id in SPEAKING)
        or (isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS and "date" in ast.unparse(node.func))
    ]


def _calls(module: Module) -> list[ast.Call]:
    return [node for node in module.nodes() if isinstance(node, ast.Call)]


def _verb(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


def _asks_reader(node: ast.Call) -> bool:
    if not isinstance(node.func, ast.Attribute):
        return False
    asked = ast.unparse(node.func.value)
    return asked in ASKING or asked.startswith("KernelReader(")


def _names_kernel_file(node: ast.Call) -> bool:
    return any(
        isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.startswith(KERNEL_FOLDERS)
        for argument in node.args
        for part in ast.walk(argument)
    )


CHECKS = [violations_of_doors, violations_of_reader, violations_of_reading, violations_of_thinking]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_house_keeps_the_rule(check):
    assert check(HOUSE) == [], check.__doc__


@pytest.mark.parametrize(
    ("check", "name", "text"),
    [
        (violations_of_doors, "airmem.collect.tree", "os.listdir(folder)"),
        (violations_of_doors, "airmem.render.as_html", "open('template.html')"),
        (violations_of_doors, "airmem.kernel.stat", "Path(path).read_bytes()"),
        (violations_of_reader, "airmem.cli", "open('/proc/self/status')"),
        (violations_of_reader, "airmem.collect.tree", "os.path.exists(f'/proc/{pid}')"),
        (violations_of_reader, "airmem.demo", "Path('/sys/fs/cgroup')"),
        (violations_of_reading, READER, "os.open(path, os.O_RDWR)"),
        (violations_of_reading, "airmem.collect.pages", "name = 'clear_refs'"),
        (violations_of_thinking, "airmem.views.pss", "datetime.now()"),
        (violations_of_thinking, "airmem.render.as_text", "print(text)"),
    ],
)
def test_a_violation_is_found(check, name, text):
    assert len(check([parse(name, text)])) == 1


@pytest.mark.parametrize("check", CHECKS)
def test_asking_the_reader_is_allowed(check):
    text = "reader.exists('/proc/sentry-meminfo')\nKernelReader().link('/proc/self')\n'no file'.join(names)"
    assert check([parse("airmem.collect.tree", text)]) == []
