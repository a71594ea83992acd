"""Locks whose holder the text of the source does not tell by itself, one case each: `hang_locks.py CASE`."""

from __future__ import annotations

import functools
import queue
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from hanging import FOREVER, case, fork, ready, rest, run

LOCKS = [threading.Lock() for _ in range(3)]
A, B = threading.Lock(), threading.Lock()


def start(name: str, work: Callable[..., object], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, name=name, daemon=True)
    thread.start()
    time.sleep(0.2)
    return thread


def synchronized(function: Callable[..., object]) -> Callable[..., object]:
    """Give each decorated function a lock of its own, all of the same name."""
    lock = threading.Lock()

    @functools.wraps(function)
    def wrapper(*arguments: object) -> object:
        with lock:
            return function(*arguments)

    return wrapper


@synchronized
def refresh(seconds: float) -> None:
    time.sleep(seconds)


@synchronized
def flush(seconds: float) -> None:
    time.sleep(seconds)


def descend(level: int, last: int, seconds: float) -> None:
    with LOCKS[level]:
        if level < last:
            descend(level + 1, last, seconds)
        else:
            time.sleep(seconds)


class Meter:
    """One function takes the lock and gives it back, another one keeps it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def add(self) -> None:
        self.lock.acquire()
        try:
            pass
        finally:
            self.lock.release()

    def seize(self) -> None:
        self.lock.acquire()

    def cede(self) -> None:
        self.lock.release()


OURS, THEIRS = Meter(), Meter()


@case
def one_name_for_two_locks() -> None:
    start("refresher", refresh, FOREVER)
    start("flusher", flush, FOREVER)
    ready()
    flush(0)


@case
def taken_level_by_level() -> None:
    """Its own frame holds `LOCKS[level]` and it waits for `LOCKS[level]`: another lock."""
    start("deep", descend, 1, 1, FOREVER)
    ready()
    descend(0, 1, 0)


@case
def calls_of_other_objects() -> None:
    def fair() -> None:
        OURS.add()
        OURS.seize()
        OURS.cede()
        time.sleep(FOREVER)

    def elsewhere() -> None:
        THEIRS.seize()
        time.sleep(FOREVER)

    def guilty() -> None:
        OURS.seize()
        time.sleep(FOREVER)

    for work in (fair, elsewhere, guilty):
        start(work.__name__, work)
    ready()
    OURS.add()


@case
def left_a_block() -> None:
    """Who was in a `with` block before is no holder; who took the lock has ended."""

    def innocent() -> None:
        for _ in range(3):
            with A:
                pass
        time.sleep(FOREVER)

    start("innocent", innocent)
    start("gone", A.acquire)
    ready()
    with A:
        pass


@case
def several_in_one_line() -> None:
    gate = threading.Barrier(2)

    class Meet:
        def __enter__(self) -> None:
            gate.wait()

        def __exit__(self, *_: object) -> None:
            pass

    def left() -> None:
        with A, Meet(), B:
            pass

    def right() -> None:
        with B, Meet(), A:
            pass

    start("left", left)
    start("right", right)
    ready()
    rest()


@case
def handed_over() -> None:
    """A lock as a signal: who has taken it waits for another thread to give it back."""
    A.acquire()

    def work() -> None:
        time.sleep(FOREVER)
        A.release()

    start("worker", work)
    ready()
    A.acquire()


@case
def main_thread_holds() -> None:
    """Only the state of the first thread tells; it lies in the interpreter's own memory."""

    def make() -> tuple[Callable[[], Any], Callable[[], Any]]:
        lock = threading.Lock()

        def hold() -> None:
            with lock:
                time.sleep(0.5)
                ready()
                time.sleep(FOREVER)

        def want() -> None:
            time.sleep(0.2)
            with lock:
                pass

        return hold, want

    hold, want = make()
    threading.Thread(target=want, name="late", daemon=True).start()
    hold()


@case
def mutex_of_a_queue() -> None:
    """A signal handler puts into the queue whose mutex the interrupted code has."""
    jobs: queue.Queue[int] = queue.Queue()
    signal.signal(signal.SIGUSR1, lambda *_: jobs.put(1))
    ready()
    with jobs.mutex:
        signal.raise_signal(signal.SIGUSR1)


@case
def helper_in_a_handler() -> None:
    meter = Meter()
    signal.signal(signal.SIGUSR1, lambda *_: meter.add())

    def write() -> None:
        meter.seize()
        signal.raise_signal(signal.SIGUSR1)

    ready()
    write()


@case
def inherited_and_released_since() -> None:
    """The parent's other thread has ended since the fork."""

    def short() -> None:
        with B:
            time.sleep(0.5)

    thread = start("short", short)

    def child() -> None:
        with B:
            pass

    pid = fork(child)
    thread.join()
    ready(child=pid)
    rest()


if __name__ == "__main__":
    run()
