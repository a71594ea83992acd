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
from typing import TYPE_CHECKING

from airmem.collect.clock import monotonic_seconds, pause_seconds
from airmem.collect.source import open_source
from airmem.errors import Malformed
from airmem.kernel.task import parse_task_stat
from airmem.probes.pyspy import run_pyspy

if TYPE_CHECKING:
    from collections.abc import Callable

    from airmem.probes.pyspy import Dump, DumpRequest

STOPPED, TRACED = "T", "t"
WATCH_SECONDS = 0.0005
"""Between two looks at the target's state while py-spy is at work."""

PATIENCE_SECONDS = 0.5
"""So long a target may still stand after py-spy has gone before it is told to go on."""


def run_blocking(program: str, request: DumpRequest, redact: Callable[[str, str], str] | None) -> tuple[Dump, float]:
    """Run py-spy with the target stopped; return what it said and for how long the target stood, in seconds.

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
    return dump, min(watch.paused_seconds, dump.took_seconds)


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
    """Measures from the first to the last moment at which a thread of a process was seen traced."""

    def __init__(self, pid: int, before: dict[int, str]) -> None:
        self._pid = pid
        self._before = before
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self.paused_seconds = 0.0

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        first = None
        while not self._ended.wait(WATCH_SECONDS):
            now = monotonic_seconds()
            if any(state == TRACED and self._before.get(tid) != TRACED for tid, state in _states(self._pid).items()):
                first = now if first is None else first
                self.paused_seconds = now - first + WATCH_SECONDS


def _states(pid: int) -> dict[int, str]:
    """Return the state letter of each thread by tid; empty when the process is gone."""
    found = {}
    with suppress(OSError), open_source().process(pid) as files:
        for name in files.entries("task"):
            with suppress(OSError, Malformed):
                found[int(name)] = parse_task_stat(files.read(f"task/{name}/stat")).state
    return found
