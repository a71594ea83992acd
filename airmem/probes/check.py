"""Runs a health check: somebody's program, whose output goes where airmem's goes.

Apart from probes.runner, whose imports cost more time than a passing check may take longer for being guarded.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

TIMED_OUT = 124
"""The exit status of a check that had to be ended, as timeout(1) has it."""

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""What a shell says of a program that is not there, or that may not be run."""

BY_SIGNAL = 128
LOOK_SECONDS = 0.005
GRACE_SECONDS = 0.5
"""So long a check that took too long may take to end on SIGTERM before it gets SIGKILL."""

PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Outcome(NamedTuple):
    """How a check ended: its exit status, 128 + N for signal N, 124 when its time was up."""

    status: int
    timed_out: bool
    seconds: float


class Ended(Exception):  # named after what happened
    """airmem itself was told to end while the check ran; `number` is the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


def run_check(argv: Sequence[str], limit_seconds: float) -> Outcome:
    """Run a program to its end, or until its time is up; then its whole group is ended.

    A signal to airmem ends it as well. Errors: Ended; OSError when it cannot be started.
    """
    began = time.monotonic()
    before = {number: signal.signal(number, _raise) for number in PASSED_ON}
    pid = 0
    try:
        pid = os.posix_spawnp(argv[0], list(argv), os.environ, setpgroup=0, setsigdef=[signal.SIGPIPE])
        if _ended_within(pid, limit_seconds):
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            pid = 0
            return Outcome(BY_SIGNAL - status if status < 0 else status, False, time.monotonic() - began)
    finally:
        if pid:
            _end(pid)
        for number, handler in before.items():
            signal.signal(number, handler)
    return Outcome(TIMED_OUT, True, time.monotonic() - began)


def _raise(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # a handler's signature
    raise Ended(number)


def _ended_within(pid: int, limit_seconds: float) -> bool:
    """Wait for a child without reaping it."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:  # before Linux 5.3, or gVisor
        return _poll(pid, time.monotonic() + limit_seconds)
    try:
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        return bool(waiting.poll(limit_seconds * 1000))
    finally:
        os.close(handle)


def _poll(pid: int, until: float) -> bool:
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= until:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _end(pid: int) -> None:
    """End a check and what it started, first politely."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)
    _ended_within(pid, GRACE_SECONDS)
    with suppress(ProcessLookupError):  # its pid, and so its group, is its own until it is waited for
        os.killpg(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
