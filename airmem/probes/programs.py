"""Which Python runs a program, told by its first line."""

from __future__ import annotations

import os
import shlex
import shutil

from airmem.errors import NotMeasurable, UsageProblem

MOST_BYTES = 4096
VERSION_SECONDS = 10.0
INTERPRETERS = ("python", "pypy")
WITH_VALUE = ("-X", "-W", "--check-hash-based-pycs")
"""Options of the interpreter that take the next word."""

LAST = ("-m", "-c")
"""What follows these belongs to the program."""


def resolve_program(words: tuple[str, ...]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return (Python, its options, script or -m MODULE or -c CODE with arguments) of a command line.

    Errors: UsageProblem when it is no Python program, or an interpreter without one or with one that is not there.
    """
    path = find_in_path(words[0])
    if path is None or not os.path.isfile(path):
        raise UsageProblem(f"there is no program {words[0]!r}", "Give a path, or a name that is in PATH.")
    if is_interpreter(path):
        return _divide(os.path.abspath(path), words[1:])
    line = _interpreter_of(path)
    if not line:
        remedy = "memray records Python programs only; name the Python itself: airmem trace -- python ..."
        raise UsageProblem(f"{words[0]!r} is no Python program", remedy)
    return line[0], tuple(line[1:]), (path, *words[1:])


def is_interpreter(path: str) -> bool:
    """Whether a path is named like an interpreter: python3.11, pypy3."""
    name = os.path.basename(path)
    return name.startswith(INTERPRETERS) and not name.endswith((".py", "-config"))


def require_python(path: str) -> None:
    """Let only an interpreter pass, which a file of airmem's will be given to run: a `tee` would write over that file.

    Errors: NotMeasurable unless it is named like one, or says itself that it is one; ProgramMissing.
    """
    if is_interpreter(path):
        return
    from airmem.probes.runner import run_program  # noqa: PLC0415  # loads subprocess

    done = run_program([path, "--version"], deadline_seconds=VERSION_SECONDS)
    if not done.stdout.startswith(b"Python "):
        cause = f"{path} is no Python: asked for its version, it ended with status {done.status}"
        raise NotMeasurable(cause, "Give the python of the environment that the service runs with.")


def _divide(python: str, words: tuple[str, ...]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    options: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and not rest[0].startswith(LAST):
        options.append(rest.pop(0))
        if options[-1] in WITH_VALUE and rest:
            options.append(rest.pop(0))
    if not rest:
        raise UsageProblem("an interpreter without a program", "Example: airmem trace -- python service.py")
    if rest[0].startswith(LAST) and len(rest[0]) > 2:  # -mjson.tool
        rest[:1] = [rest[0][:2], rest[0][2:]]
    if rest[0] in LAST and len(rest) < 2:
        raise UsageProblem(f"{rest[0]} without what it runs", "Example: airmem trace -- python -m service")
    if rest[0] not in LAST and not os.path.exists(rest[0]):
        raise UsageProblem(f"there is no script {rest[0]!r}", "Give its path; nothing was started.")
    return python, tuple(options), tuple(rest)


def _interpreter_of(path: str) -> list[str]:
    """Return the Python of a script and its options, by its first lines; empty if it has none."""
    try:
        with open(path, "rb") as file:
            start = file.read(MOST_BYTES)
    except OSError as problem:
        raise UsageProblem(f"cannot read {path}: {problem.strerror}", "Name the Python itself.") from problem
    lines = start.split(b"\n")
    if not start.startswith(b"#!"):
        return [_python()] if path.endswith(".py") else []
    words = shlex.split(os.fsdecode(lines[0][2:]))
    if words[:1] == ["/bin/sh"] and len(lines) > 1 and lines[1].startswith(b"'''exec'"):  # pip, for long paths
        words = shlex.split(os.fsdecode(lines[1]).replace("'''exec'", "", 1))[:1]
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if word != "-S"]
        found = find_in_path(words[0]) if words else None
        words = [found, *words[1:]] if found else []
    return words if words and is_interpreter(words[0]) else []


def find_in_path(name: str) -> str | None:
    """Return the path of a program as a shell finds it: beside airmem's own Python another one may lie."""
    return shutil.which(name)


def _python() -> str:
    return find_in_path("python3") or find_in_path("python") or "python3"
