"""Processes with their parents, children and programs at hand: what every detector looks at."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from airmem.model.process import Process

Program: TypeAlias = "tuple[str, tuple[str, ...]]"
"""The name of a program and the words after it: ("airflow", ("scheduler",))."""

NO_PROGRAM: Program = ("", ())
WRAPPERS = ("memray", "coverage", "debugpy", "viztracer", "kernprof")
WRAPPED = ("airflow", "celery", "gunicorn", "uvicorn", "fastapi")


class Family:
    """The processes of a host or of one tree; a parent that is not among them does not exist here."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self.by_pid = {process.pid: process for process in processes}
        self._children: dict[int, list[Process]] = {}
        for process in self.by_pid.values():
            if process.pid != process.parent_pid:
                self._children.setdefault(process.parent_pid, []).append(process)
        self._programs: dict[tuple[str, ...], Program] = {}
        self._parents_first: list[Process] = []

    def parent(self, process: Process) -> Process | None:
        """Return the parent of a process, None at the top."""
        return None if process.parent_pid == process.pid else self.by_pid.get(process.parent_pid)

    def children(self, pid: int) -> Sequence[Process]:
        """Return the children of a process, in the order given."""
        return self._children.get(pid, ())

    def parents_first(self) -> Sequence[Process]:
        """Return all processes, parents before their children; those in a loop of parents are left out."""
        if not self._parents_first:
            self._parents_first = [one for one in self.by_pid.values() if self.parent(one) is None]
            for process in self._parents_first:
                self._parents_first.extend(self.children(process.pid))
        return self._parents_first

    def program(self, process: Process) -> Program:
        """Return the program that a command line runs (see read_program); equal command lines are read once."""
        arguments = process.arguments
        if arguments not in self._programs:
            self._programs[arguments] = read_program(arguments)
        return self._programs[arguments]

    def is_forkserver(self, process: Process) -> bool:
        """Whether this is multiprocessing's fork server; the processes that it forks have its command line."""
        return not process.is_forked and runs_code(process.arguments, "multiprocessing.forkserver")

    def start_method(self, process: Process) -> str:
        """Return fork, forkserver, spawn or exec: whether it began with its parent's memory, and as whose."""
        if process.is_forked:
            parent = self.parent(process)
            return "forkserver" if parent is not None and self.is_forkserver(parent) else "fork"
        return "spawn" if runs_code(process.arguments, "multiprocessing.spawn") else "exec"


def read_program(arguments: tuple[str, ...]) -> Program:
    """Return the program of a command line, past the Python interpreter, its options and wrappers such as memray.

    `python -m NAME` is NAME, `python -c CODE` is `-c`, a script is named by its file. A command line in one piece
    (a process that set its own title) is split at spaces. An argument never counts as a program: `grep airflow
    scheduler` is grep.
    """
    if len(arguments) == 1 and " " in arguments[0]:
        arguments = tuple(arguments[0].split())
    if not arguments:
        return NO_PROGRAM
    name = _file_name(arguments[0])
    program = _after_interpreter(arguments[1:]) if is_interpreter(arguments[0]) else (name, arguments[1:])
    return _wrapped(program[1]) or program if program[0] in WRAPPERS else program


def is_interpreter(path: str) -> bool:
    """Whether a path names a Python interpreter: python, python3.11, pypy3, python3.13t."""
    name = path.rpartition("/")[2]
    rest = name[6:] if name.startswith("python") else name[4:] if name.startswith("pypy") else "no"
    return not rest.strip("0123456789.td-")


def runs_code(arguments: tuple[str, ...], module: str) -> bool:
    """Whether the interpreter was started with `-c` and code that imports from this module."""
    start = f"from {module} import"
    return any(word.startswith(start) and arguments[at] == "-c" for at, word in enumerate(arguments[1:]))


def _after_interpreter(words: tuple[str, ...]) -> Program:
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if not word.startswith("-") or word == "-":
            return _file_name(word), words[position:]
        if word.startswith("--"):
            position += word == "--check-hash-based-pycs"
            continue
        found = _flags(word, words[position:])
        if isinstance(found, tuple):
            return found
        position += found
    return NO_PROGRAM


def _flags(word: str, after: tuple[str, ...]) -> Program | int:
    """Read one group of short options (`-um airflow`): the program it names, or how many more words it takes."""
    for at, flag in enumerate(word[1:], start=1):
        rest = word[at + 1 :]
        if flag in "cm":
            value, words = (rest, after) if rest else (after[0] if after else "", after[1:])
            return ("-c", (value, *words)) if flag == "c" else (value.removesuffix(".__main__"), words)
        if flag in "WX":
            return 0 if rest else 1
    return 0


def _wrapped(words: tuple[str, ...]) -> Program | None:
    for position, word in enumerate(words):
        if _file_name(word) in WRAPPED:
            return _file_name(word), words[position + 1 :]
    return None


def _file_name(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return folder.rpartition("/")[2] if name == "__main__.py" else name.removesuffix(".py")
