"""py-spy, run on one process: Python stacks from outside (https://github.com/benfred/py-spy).

Without `--nonblocking` py-spy stops the target with ptrace while it reads. That was seen to cut a write(2) to a pipe
short, to return EINTR from epoll_wait(2), and never to end on processes in an uninterruptible or frozen state. So
nonblocking is the default, and what it may read torn of a running thread is accepted. It is kept from reading in the
way that breaks copy-on-write (probes.refusal).

Only its JSON is read, never its messages: they name wrong causes (collect.attach finds the true ones).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

from airmem.errors import Malformed
from airmem.model.stack import Frame, Local, ThreadStack
from airmem.probes.refusal import refusing_shared_reads
from airmem.probes.runner import ProgramMissing, find_program, run_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

PROGRAM = "py-spy"
MOST_OUTPUT_BYTES = 32 << 20
IMPORTLIB = ("<frozen importlib", "<frozen _frozen_importlib")
"""Files in which a variable called `name` is that of a module, which is no secret."""

Redact: TypeAlias = Callable[[str, str], str]
"""Makes of a variable's name and value the value without secrets."""

NATIVE_SUFFIXES = (".py", ".pyx", ".pxd", ".pyc", ">")
"""A frame of anything else, or without a file, is native (`--native`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpRequest:
    """What is asked of py-spy."""

    pid: int
    with_locals: bool = True
    with_native: bool = False
    is_blocking: bool = False
    deadline_seconds: float = 3.0

    @property
    def name(self) -> str:
        """A word that tells requests for one process apart."""
        marks = (self.with_locals, self.with_native, self.is_blocking)
        return "".join(letter for letter, is_set in zip("lnb", marks, strict=True) if is_set) or "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """What came of it: py-spy's JSON without what was not asked for, None where there is none. `took_seconds` of it."""

    raw: bytes | None
    timed_out: bool
    took_seconds: float


def find_pyspy() -> str:
    """Return where py-spy is. Errors: ProgramMissing."""
    program = find_program(PROGRAM)
    if program is None:
        raise ProgramMissing("py-spy, which reads Python stacks, is not installed here", "pip install py-spy")
    return program


def run_pyspy(program: str, request: DumpRequest, redact: Redact | None = None) -> Dump:
    """Ask py-spy for the stacks of a process; whatever goes wrong, there is a Dump. Errors: ProgramMissing.

    `redact` as in strip_values.
    """
    argv = [program, "dump", "--json", "--pid", str(request.pid)]
    argv += ["--locals"] if request.with_locals else []
    argv += ["--native"] if request.with_native else []
    argv += [] if request.is_blocking else ["--nonblocking"]
    environment = {"RUST_BACKTRACE": "0", "PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    done = run_program(
        argv,
        deadline_seconds=request.deadline_seconds,
        environment=environment,
        max_output_bytes=MOST_OUTPUT_BYTES,
        before_exec=refusing_shared_reads(program),
    )
    raw = None
    if done.status == 0 and not done.timed_out and not done.is_cut:
        try:
            raw = strip_values(done.stdout, redact)
        except Malformed:
            raw = None
    return Dump(raw=raw, timed_out=done.timed_out, took_seconds=done.seconds)


def strip_values(raw: bytes, redact: Redact | None) -> bytes:
    """Return py-spy's JSON without the values of variables, or with what `redact` makes of a name and its value.

    Names of modules inside importlib stay in any case. Errors: Malformed.
    """
    threads = _load(raw)
    try:
        _strip(threads, redact)
    except (TypeError, AttributeError) as problem:
        raise Malformed(f"not the JSON of py-spy dump: {problem}") from problem
    return json.dumps(threads, separators=(",", ":")).encode("ascii")


def _strip(threads: list[dict[str, Any]], redact: Redact | None) -> None:
    for thread in threads:
        for frame in thread.get("frames") or ():
            is_importlib = str(frame.get("filename") or "").startswith(IMPORTLIB)
            for local in frame.get("locals") or ():
                if is_importlib and local.get("name") == "name":
                    continue
                value = local.get("repr")
                local["repr"] = None if redact is None or value is None else redact(str(local.get("name")), str(value))


def parse_dump(raw: bytes) -> tuple[ThreadStack, ...]:
    """Return the threads of py-spy's JSON. Errors: Malformed."""
    try:
        return tuple(_thread(thread) for thread in _load(raw))
    except (TypeError, ValueError, KeyError, AttributeError) as problem:
        raise Malformed(f"not the JSON of py-spy dump: {problem}") from problem


def _load(raw: bytes) -> list[dict[str, Any]]:
    try:
        threads = json.loads(raw)
    except (ValueError, RecursionError) as problem:
        raise Malformed(f"not the JSON of py-spy dump: {problem}") from problem
    if not isinstance(threads, list) or not all(isinstance(thread, dict) for thread in threads):
        raise Malformed("not the JSON of py-spy dump: no list of threads")
    return threads


def _thread(thread: dict[str, Any]) -> ThreadStack:
    tid = thread.get("os_thread_id")
    name = thread.get("thread_name")
    return ThreadStack(
        tid=None if tid is None else int(tid),
        ident=int(thread.get("thread_id") or 0),
        name=None if name is None else str(name),
        is_active=bool(thread.get("active")),
        owns_gil=bool(thread.get("owns_gil")),
        frames=tuple(_frame(frame) for frame in thread.get("frames") or ()),
    )


def _frame(frame: dict[str, Any]) -> Frame:
    variables = frame.get("locals")
    file = str(frame.get("filename") or "")
    return Frame(
        function=str(frame.get("name") or ""),
        file=file,
        line=int(frame.get("line") or 0),
        locals=None if variables is None else tuple(_local(one) for one in variables),
        is_native=not file.endswith(NATIVE_SUFFIXES) and bool(frame.get("module")),
    )


def _local(local: dict[str, Any]) -> Local:
    text = local.get("repr")
    return Local(
        name=str(local.get("name") or ""),
        object_address=int(local.get("addr") or 0),
        is_argument=bool(local.get("arg")),
        text=None if text is None else str(text),
    )
