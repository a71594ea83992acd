"""What will be recorded and with which Python: asked of the programs themselves, before anything begins."""

from __future__ import annotations

import os
import re

from airmem.probes import gdb, memray, programs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.trace import TracePython

LONGEST_LABEL = 40


def resolve_program(words: tuple[str, ...]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return (Python, its options, what it runs) of a command line. Errors: UsageProblem."""
    return programs.resolve_program(words)


def ask_pythons(
    executables: tuple[str, ...], options: tuple[str, ...] = (), user: tuple[int, int] | None = None
) -> TracePython | None:
    """Return the first of these Pythons that has memray, else the first that answers, else None.

    They are asked as their `user` (uid, gid), since they are its files; None is airmem's own.
    """
    user = None if user is None or user[0] == os.geteuid() else user
    without = None
    for executable in dict.fromkeys(executables):
        python = memray.ask_python(executable, options, user)
        if python is not None and python.memray_version:
            return python
        without = without or python
    return without


def find_debugger() -> str:
    """Return the debugger through which memray gets into a process, empty if there is none."""
    return gdb.find_debugger()


def label_of(words: tuple[str, ...]) -> str:
    """Return a short name for what a command line runs, safe in file names: the module or script, else the program."""
    named = ""
    rest = list(words[1:]) if words and programs.is_interpreter(words[0]) else list(words)
    while rest and not named:
        word = rest.pop(0)
        if word == "-m" and rest:
            named = rest.pop(0)
        elif word == "-c":
            named = "code"
        elif not word.startswith("-"):
            named = os.path.basename(word).removesuffix(".py")
    return re.sub(r"[^A-Za-z0-9_.]+", "_", named).strip("._")[:LONGEST_LABEL] or "python"
