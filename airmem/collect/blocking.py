"""py-spy with the target stopped, on request only: how long it stood, and that it runs again afterwards.

py-spy stops each thread with ptrace. The kernel lets go of a target when its tracer dies, whatever the reason; 282
kills of py-spy in the middle of a stop left none behind. All the same it is looked at afterwards, and a process that
stands stopped and did not before is told to go on.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from threading import Event, Thread

from airmem.collect.clock import monotonic_seconds, pause_seconds
from airmem.collect.source import open_source
from airmem.errors import Malformed
from airmem.kernel.task import parse_task_stat
from airmem.probes.pyspy import run_pyspy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from airmem.probes.pyspy import Dump, DumpRequest

STOPPED, TRACED = "T", "t"
WATCH_SECONDS = 0.0005
"""Between two looks at the target's state while py-spy is at work."""

PATIENCE_SECONDS = 0.5
"""So long a target may still stand after py-spy has gone before it is told to go on."""


def run_blocking(program: str, request: DumpRequest, redact: Callable[[str, str], str] | None) -> tuple[Dump, float]:
    """Run py-spy with the target stopped; return what it said and for how long the target stood at most, in seconds.

    Errors: ProgramMissing.
    """
    before = _states(request.pid)
    watch = _Watch(request.pid, before)
    watch.start()
    try:
        dump = run_pyspy(program, request, redact)
    finally:
        watch.end()
        release(request.pid, before)
    paused_seconds = dump.took_seconds if watch.paused_seconds is None else watch.paused_seconds
    return dump, min(paused_seconds, dump.took_seconds)


def release(pid: int, before: dict[int, str]) -> bool:
    """Tell a process that stands stopped, and did not before, to go on; return whether that was needed."""
    if STOPPED in before.values() or TRACED in before.values():
        return False
    until = monotonic_seconds() + PATIENCE_SECONDS
    while STOPPED in (states := _states(pid).values()) or TRACED in states:
        if monotonic_seconds() > until:
            with suppress(OSError):
                os.kill(pid, signal.SIGCONT)
            return True
        pause_seconds(WATCH_SECONDS)
    return False


class _Watch:
    """Measures how long threads of a process are traced: from the last look before to the first look after.

    `paused_seconds` is None where no look met a stop: it was too short, or airmem was not given the CPU.
    """

    def __init__(self, pid: int, before: dict[int, str]) -> None:
        self._pid = pid
        self._before = before
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self.paused_seconds: float | None = None

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        before = monotonic_seconds()
        began: float | None = None
        until: float | None = None
        while not self._ended.wait(WATCH_SECONDS):
            is_traced, now = self._is_traced(), monotonic_seconds()
            if is_traced:
                began, until = before if began is None else began, None
            elif began is not None and until is None:
                until = now
            before = now
        if began is not None:
            self.paused_seconds = (monotonic_seconds() if until is None else until) - began

    def _is_traced(self) -> bool:
        states = _states(self._pid)
        return any(state == TRACED and self._before.get(tid) != TRACED for tid, state in states.items())


def _states(pid: int) -> dict[int, str]:
    """Return the state letter of each thread by tid; empty when the process is gone."""
    found = {}
    with suppress(OSError), open_source().process(pid) as files:
        for name in files.entries("task"):
            with suppress(OSError, Malformed):
                found[int(name)] = parse_task_stat(files.read(f"task/{name}/stat")).state
    return found
