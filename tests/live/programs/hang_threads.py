"""Threads of one process that wait for each other, one case for each mechanism: `hang_threads.py CASE`."""

from __future__ import annotations

import logging
import logging.handlers
import queue
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from hanging import case, fork, ready, rest, run
from tree import LIBC, PR_SET_NAME

FOREVER = 10**6
HOSTILE = [
    "\x1b]0;owned\x07\x1b[31m",
    "a\nb\tc",
    "[bold]x[/] [/]",
    "<script>alert(1)</script>",
    "\u202eright",
    "x" * 300,
]
FIRST, SECOND = threading.RLock(), threading.Lock()


def start(name: str, work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    time.sleep(0.2)
    return thread


class Store:
    """Takes its lock in each of the ways that people do."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)

    @contextmanager
    def locked(self):
        with self.lock:
            yield

    def slow_in_manager(self) -> None:
        with self.locked():
            time.sleep(FOREVER)

    def slow_after_acquire(self) -> None:
        self.lock.acquire()
        try:
            time.sleep(FOREVER)
        finally:
            self.lock.release()

    def slow_in_with(self) -> None:
        with self.lock:
            time.sleep(FOREVER)

    def slow_in_condition(self) -> None:
        with self.changed:
            time.sleep(FOREVER)

    def quick(self) -> None:
        with self.lock:
            pass

    def quick_with_condition(self) -> None:
        with self.changed:
            pass


@case
def three_in_a_ring() -> None:
    locks = [threading.Lock() for _ in range(3)]

    def take(own: threading.Lock, other: threading.Lock) -> None:
        with own:
            time.sleep(0.5)
            with other:
                pass

    for at in range(3):
        threading.Thread(target=take, args=(locks[at], locks[(at + 1) % 3]), name=f"ring-{at}", daemon=True).start()
    time.sleep(1.0)
    ready()
    rest()


@case
def held_in_context_manager() -> None:
    store = Store()
    start("owner", store.slow_in_manager)
    ready()
    store.quick()


@case
def held_after_acquire() -> None:
    store = Store()
    start("owner", store.slow_after_acquire)
    ready()
    store.quick()


@case
def held_in_with() -> None:
    store = Store()
    start("bystander", lambda: threading.Event().wait())
    start("owner", store.slow_in_with)
    ready()
    store.quick()


@case
def held_through_condition() -> None:
    store = Store()
    start("owner", store.slow_in_condition)
    ready()
    store.quick_with_condition()


@case
def recursive_lock() -> None:
    def own() -> None:
        with FIRST, FIRST:
            time.sleep(FOREVER)

    start("owner", own)
    ready()
    FIRST.acquire()


@case
def holder_ended() -> None:
    lock = threading.RLock()
    start("short", lock.acquire)
    ready()
    lock.acquire()


@case
def twice_in_one_function() -> None:
    lock = threading.Lock()
    ready()
    lock.acquire()
    lock.acquire()


@case
def semaphore() -> None:
    slots = threading.Semaphore(1)

    def own() -> None:
        with slots:
            time.sleep(FOREVER)

    start("owner", own)
    ready()
    with slots:
        pass


@case
def logging_lock() -> None:
    class Slow(logging.StreamHandler):
        def emit(self, record: logging.LogRecord) -> None:
            time.sleep(FOREVER)

    logger = logging.getLogger("slow")
    logger.addHandler(Slow())
    start("writer", lambda: logger.warning("first"))
    ready()
    logger.warning("second")


@case
def inherited_recursive_lock() -> None:
    def own() -> None:
        with FIRST:
            time.sleep(FOREVER)

    start("cache-refresher", own)

    def child() -> None:
        with FIRST:
            pass

    ready(child=fork(child))
    rest()


@case
def inherited_lock_released_since() -> None:
    def own() -> None:
        with SECOND:
            time.sleep(1.0)
        time.sleep(FOREVER)

    start("cache-refresher", own)

    def child() -> None:
        with SECOND:
            pass

    pid = fork(child)
    time.sleep(1.5)
    ready(child=pid)
    rest()


@case
def simple_queue() -> None:
    jobs: queue.SimpleQueue[int] = queue.SimpleQueue()
    ready()
    jobs.get()


@case
def full_queue() -> None:
    jobs: queue.Queue[int] = queue.Queue(1)
    jobs.put(1)
    ready()
    jobs.put(2)


@case
def consumer_joined() -> None:
    """The main thread waits for a consumer that waits for the main thread."""
    jobs: queue.Queue[int] = queue.Queue()
    thread = start("consumer", jobs.get)
    ready()
    thread.join()


@case
def barrier() -> None:
    gate = threading.Barrier(2)
    ready()
    gate.wait()


@case
def event_with_long_timeout() -> None:
    ready()
    threading.Event().wait(3600)


@case
def future_of_nobody() -> None:
    ready()
    Future().result()


@case
def pool_waits_for_itself() -> None:
    pool = ThreadPoolExecutor(2, thread_name_prefix="pool")

    def outer() -> int:
        time.sleep(0.5)
        return pool.submit(int).result()

    futures = [pool.submit(outer) for _ in range(2)]
    time.sleep(0.8)
    ready()
    futures[0].result()


@case
def pool_waits_for_slow_work() -> None:
    """One worker waits for the other, which sleeps: slow, not dead."""
    pool = ThreadPoolExecutor(2, thread_name_prefix="pool")
    slow = pool.submit(time.sleep, FOREVER)
    pool.submit(slow.result)
    time.sleep(0.3)
    ready()
    slow.result()


@case
def ending_with_pool() -> None:
    """The interpreter ends and joins a pool's worker that never returns."""
    ThreadPoolExecutor(1, thread_name_prefix="late").submit(time.sleep, FOREVER)
    time.sleep(0.2)
    ready()


@case
def ending_with_thread() -> None:
    threading.Thread(target=time.sleep, args=(FOREVER,), name="late").start()
    ready()


@case
def handler_takes_lock() -> None:
    def handle(*_: object) -> None:
        with SECOND:
            pass

    signal.signal(signal.SIGUSR1, handle)
    ready()
    with SECOND:
        signal.raise_signal(signal.SIGUSR1)


@case
def hostile_names() -> None:
    for name in HOSTILE:
        start(name, lambda: threading.Event().wait())
    LIBC.prctl(PR_SET_NAME, b"\x1b[5m[red]")
    ready(names=HOSTILE)
    SECOND.acquire()
    SECOND.acquire()


@case
def healthy_workers() -> None:
    """Consumers of every kind of queue with nothing to do, beside a main thread that waits for a signal."""
    jobs: queue.Queue[int] = queue.Queue()
    simple: queue.SimpleQueue[int] = queue.SimpleQueue()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())

    def consume() -> None:
        while True:
            jobs.get()
            jobs.task_done()

    def consume_simple() -> None:
        for _ in iter(simple.get, None):
            pass

    def poll() -> None:
        while not ended.wait(5):
            pass

    def tick() -> None:
        while True:
            time.sleep(0.05)

    pool = ThreadPoolExecutor(2)
    pool.submit(int)
    for work in (consume, consume_simple, poll, tick, partial(threading.Timer(300, int).run)):
        start(work.__name__ if hasattr(work, "__name__") else "timer", work)
    listener = logging.handlers.QueueListener(queue.Queue())
    listener.start()
    ready()
    ended.wait()


if __name__ == "__main__":
    run()
