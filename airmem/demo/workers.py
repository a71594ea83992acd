"""Forked processes that end with their parent, whatever ends it."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from airmem.demo.heap import Heap
from airmem.errors import UsageProblem

LESS = "Ask for fewer --workers or less --megabytes."
PR_SET_PDEATHSIG = 1
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)

Step = Callable[[], object]


class Workers:
    """Starts workers, and ends them when its `with` block is left.

    The kernel kills each when the parent ends (PR_SET_PDEATHSIG), wherever it waits.
    """

    def __init__(self, heap: Heap) -> None:
        self.heap = heap
        self.pids: list[int] = []
        self.kept: list[object] = []
        self._prctl = ctypes.CDLL(None).prctl

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in tuple(self.pids):
            self.kill(pid)

    def start(self, lives: list[tuple[Step, Step | None]]) -> None:
        """Fork a worker for each (work, wait) and return when all have worked and begin to wait (None: to rest).

        Errors: UsageProblem when one could not.
        """
        reports, report = os.pipe()
        try:
            for work, wait in lives:
                self.pids.append(self._fork(work, wait or _rest, report))
        except OSError as problem:
            remedy = "Ask for fewer --workers; see ulimit -u and the pids limit of the control group."
            raise UsageProblem(f"cannot fork {len(lives)} workers: {problem.strerror}", remedy) from problem
        finally:
            os.close(report)
        ready_count = 0
        while words := os.read(reports, 1024):
            ready_count += len(words)
        os.close(reports)
        if ready_count < len(lives):
            cause = f"{len(lives) - ready_count} workers ended before they were ready, probably for want of memory"
            raise UsageProblem(cause, LESS)

    def kill(self, pid: int) -> None:
        """End a worker and return when it is gone; its exit status may be taken already (SIGCHLD ignored)."""
        self.pids.remove(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)

    def _fork(self, work: Step, wait: Step, report: int) -> int:
        parent_pid = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *ENDING_SIGNALS})
        pid = os.fork()
        if pid == 0:
            with suppress(Exception):
                self._live(work, wait, report, parent_pid)
            os._exit(0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid

    def _live(self, work: Step, wait: Step, report: int, parent_pid: int) -> None:
        self._prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends its workers
        for number in (*ENDING_SIGNALS, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, *ENDING_SIGNALS})
        if os.getppid() == parent_pid:
            work()
            os.write(report, b".")
            os.close(report)
            wait()


def _rest() -> None:
    """Wait for the signal that ends it, in one system call that never wakes up before: seen from outside it is idle."""
    while True:
        signal.pause()
