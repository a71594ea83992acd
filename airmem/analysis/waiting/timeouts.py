"""How long a system call may still wait, read from its arguments (futex(2), poll(2), epoll_wait(2), select(2)).

`math.inf` is for ever; None is unknown: the arguments name memory that cannot be read.
"""

from __future__ import annotations

import math
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from airmem.analysis.waiting.scene import Scene, Thread

MINUTE_SECONDS = 60.0
"""A wait with a shorter timeout, or a sleep with less left, is how programs poll: it ends by itself."""

SHORT_SECONDS = 61.5
"""The same, where the beginning of a wait comes from the scheduler's clocks, which differ by a second between CPUs
(measured: 1.2 s on a virtual machine)."""

FUTEX_COMMANDS = 127
FUTEX_PRIVATE = 128
FUTEX_REALTIME = 256
FUTEX_WAIT = 0
FUTEX_WAIT_BITSET = 9
FUTEX_LOCK_PI = 6
FUTEX_WAIT_REQUEUE_PI = 11
FUTEX_LOCK_PI2 = 13
ABSOLUTE = 1  # TIMER_ABSTIME
CLOCK_REALTIME = 0
CLOCK_BOOTTIME = 7
CLOCKS_REALTIME = (0, 5, 8, 11)
"""CLOCK_REALTIME, its coarse and alarm forms, and TAI, which is some seconds off (include/uapi/linux/time.h)."""

WAITS = {
    "poll": 2, "epoll_wait": 3, "epoll_pwait": 3, "ppoll": 2, "epoll_pwait2": 3, "select": 4, "pselect6": 4,
    "rt_sigtimedwait": 2, "semtimedop": 3, "io_getevents": 4, "recvmmsg": 4,
}  # fmt: skip
MILLISECONDS = ("poll", "epoll_wait", "epoll_pwait")
TIMEVAL = ("select",)


def read_timeouts(scene: Scene, threads: Iterable[Thread]) -> None:
    """Read the timeouts of all threads at once, and remember them.

    They lie on the threads' own stacks: read later, after long searches, they would be those of other calls.
    """
    for thread in threads:
        timeout_of(scene, thread)
        if thread.call_name in ("nanosleep", "clock_nanosleep"):
            sleep_left(scene, thread)


def timeout_of(scene: Scene, thread: Thread) -> float | None:
    """Return with which timeout, in seconds, a thread began to wait; inf for none, None where it cannot be read."""
    key = (thread.pid, thread.tid)
    if key not in scene.timeouts:
        scene.timeouts[key] = _timeout(scene, thread)
    return scene.timeouts[key]


def _timeout(scene: Scene, thread: Thread) -> float | None:
    name, words = thread.call_name, thread.arguments
    if name in ("futex", "futex_wait"):
        return _futex(scene, thread) if name == "futex" else None
    if name not in WAITS:
        return math.inf
    word = words[WAITS[name]]
    if name in MILLISECONDS:
        number = word & 0xFFFFFFFF
        return math.inf if number >= 1 << 31 else number / 1000
    if not word:
        return math.inf
    return _span(scene, thread.pid, word, 1e-6 if name in TIMEVAL else 1e-9)


def sleep_left(scene: Scene, thread: Thread) -> float | None:
    """Return how many seconds a sleeping thread (nanosleep, clock_nanosleep, select of nothing) still sleeps."""
    key = (thread.pid, thread.tid)
    if key not in scene.sleeps:
        scene.sleeps[key] = _sleep_left(scene, thread)
    return scene.sleeps[key]


def _sleep_left(scene: Scene, thread: Thread) -> float | None:
    words, passed = thread.arguments, thread.since_seconds or 0.0
    if thread.call_name == "clock_nanosleep":
        asked = _span(scene, thread.pid, words[2], 1e-9)
        if asked is None:
            return None
        return max(0.0, asked - _clock(scene, words[0])) if words[1] & ABSOLUTE else max(0.0, asked - passed)
    asked = _span(scene, thread.pid, words[0], 1e-9) if thread.call_name == "nanosleep" else timeout_of(scene, thread)
    return None if asked is None else max(0.0, asked - passed)


def _futex(scene: Scene, thread: Thread) -> float | None:
    _, operation, _, address, *_ = thread.arguments
    if not address:
        return math.inf
    command = operation & FUTEX_COMMANDS
    asked = _span(scene, thread.pid, address, 1e-9)
    if asked is None or command == FUTEX_WAIT:
        return asked
    is_real = bool(operation & FUTEX_REALTIME) or command == FUTEX_LOCK_PI
    left = asked - (scene.snapshot.realtime_seconds if is_real else scene.snapshot.monotonic_seconds)
    return max(0.0, left) + (thread.since_seconds or 0.0)


def _clock(scene: Scene, clock_id: int) -> float:
    clock_id &= 0xFFFFFFFF
    if clock_id in CLOCKS_REALTIME:
        return scene.snapshot.realtime_seconds
    return scene.snapshot.boot_seconds if clock_id in (CLOCK_BOOTTIME, 9) else scene.snapshot.monotonic_seconds


def _span(scene: Scene, pid: int, address: int, unit_seconds: float) -> float | None:
    """Return the seconds of a struct timespec or timeval in the target."""
    raw = scene.read(pid, address, 16)
    if raw is None:
        return None
    whole, part = (int(one) for one in struct.unpack("<qq", raw))
    if whole < 0 or not 0 <= part * unit_seconds < 1:
        return None  # the thread has gone on: something else lies there
    return whole + part * unit_seconds
