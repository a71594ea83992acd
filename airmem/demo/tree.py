"""The parent of a demo tree: the calling process becomes it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context

from airmem.demo.heap import build_heap
from airmem.demo.modes import MODES, Mode
from airmem.demo.workers import ENDING_SIGNALS, LESS, Workers
from airmem.errors import UsageProblem
from airmem.units import PAGE_BYTES, format_bytes

SETTLE_SECONDS = 0.2
"""Between the last word of a worker and its final system call."""


def run_demo(mode_name: str, worker_count: int, heap_bytes: int, duration_seconds: float | None) -> None:
    """Be the parent of a tree until the duration is over (None: no end) or a signal comes; no worker outlives it.

    Errors: UsageProblem when there is too little memory or too few processes are allowed; KeyboardInterrupt.
    """
    mode = MODES[mode_name]
    _check_room(mode, worker_count, heap_bytes)
    try:
        heap = build_heap(heap_bytes, mode.is_frozen)
    except MemoryError:
        raise UsageProblem(f"there is no memory for {format_bytes(heap_bytes)} of objects", LESS) from None
    with suppress(_Ended), _ending_by_signal(), Workers(heap) as workers:
        notes = _hang(workers, worker_count) if mode_name == "hang" else _work(workers, mode, worker_count)
        mode.parent_work(heap)
        own_pid = os.getpid()
        print(f"pid {own_pid}: a parent and {len(workers.pids)} workers, mode {mode_name}, ready")
        print("workers:", *workers.pids)
        print("truth:", mode.truth.format(data=format_bytes(heap.data_bytes)) + notes)
        print(f"try: airmem pss {own_pid}\n     airmem pss {own_pid} --exclusive\nCtrl-C ends it.", flush=True)
        _rest(duration_seconds)


def _check_room(mode: Mode, worker_count: int, heap_bytes: int) -> None:
    needed_bytes = int(heap_bytes * (1.2 + mode.copied_ratio * worker_count))
    total_bytes = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
    if needed_bytes > total_bytes:
        cause = f"this would take {format_bytes(needed_bytes)} of memory, the machine has {format_bytes(total_bytes)}"
        raise UsageProblem(cause, LESS)


class _Ended(Exception):  # not an error
    """A signal asked the parent to end."""


@contextmanager
def _ending_by_signal() -> Iterator[None]:
    """Turn the signals that end a service into _Ended, and let the kernel reap the workers that end."""

    def end(*_: object) -> None:
        raise _Ended

    before = {number: signal.signal(number, end) for number in ENDING_SIGNALS}
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _rest(duration_seconds: float | None) -> None:
    if duration_seconds is not None:
        time.sleep(duration_seconds)
    while duration_seconds is None:
        signal.pause()


def _work(workers: Workers, mode: Mode, worker_count: int) -> str:
    works = [mode.works[number % len(mode.works)] for number in range(worker_count)]
    workers.start([(partial(work, workers.heap), None) for work in works])
    return ""


def _hang(workers: Workers, worker_count: int) -> str:
    """Start workers of which none can go on; return who waits for what."""
    try:
        lock = get_context("fork").Lock()
        silent, caller = socket.create_server(("127.0.0.1", 0)), socket.socket()
    except OSError as problem:
        cause = f"no lock or no local socket can be made: {problem.strerror}"
        raise UsageProblem(cause, "Try another mode.") from problem
    workers.kept += [lock, silent, caller]
    workers.start([(lock.acquire, None)])
    (holder,) = workers.pids
    asking = (partial(_ask, caller, silent), partial(caller.recv, 1))
    workers.start([*[(workers.heap.rest, lock.acquire)] * (worker_count - 2), asking])
    caller.close()
    time.sleep(SETTLE_SECONDS)
    workers.kill(holder)
    host, port = silent.getsockname()
    return (
        f"\n  {holder} was killed with the lock, {workers.pids[-1]} waits for an answer from {host}:{port},"
        " the others wait for the lock"
    )


def _ask(caller: socket.socket, silent: socket.socket) -> None:
    """Ask the parent a question that it never answers."""
    caller.connect(silent.getsockname())
    silent.close()
    caller.send(b"?")
