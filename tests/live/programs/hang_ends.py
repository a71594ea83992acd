"""Ends of waits that no other process is at: signals, kernels, named pipes, pools; one case each: `hang_ends.py CASE`."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hanging import FOREVER, case, fork, ready, rest, run

CONTEXT = multiprocessing.get_context("fork")


def silent_connection() -> socket.socket:
    """Connect to a listener that never accepts."""
    listener = socket.create_server(("127.0.0.1", 0))
    silent_connection.kept = listener  # type: ignore[attr-defined]
    return socket.create_connection(listener.getsockname())


@case
def self_pipe() -> None:
    """The usual way to wait for signals: a handler writes, the main loop reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGHUP, lambda *_: os.write(writing, b"x"))
    ready()
    while True:
        select.select([reading], [], [])
        os.read(reading, 100)


@case
def wakeup_descriptor() -> None:
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    signal.set_wakeup_fd(writing.fileno())
    ready()
    select.select([reading], [], [])


@case
def loop_until_signal() -> None:
    async def main() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        ready()
        await stop.wait()

    asyncio.run(main())


@case
def netlink() -> None:
    monitor = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    monitor.bind((0, 1))
    ready()
    monitor.recv(65536)


@case
def unix_datagrams() -> None:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(tempfile.mktemp(prefix="airmem-"))
    ready()
    server.recv(2048)


@case
def filter_of_lines() -> None:
    """A child that takes its work from standard input, line by line, and a parent with none."""
    program = Path(tempfile.mkstemp(suffix=".py")[1])
    program.write_text("import sys\nfor line in sys.stdin:\n    print(line)\n")
    with subprocess.Popen([sys.executable, str(program)], stdin=subprocess.PIPE) as child:
        time.sleep(0.5)
        ready(child=child.pid)
        rest()


@case
def named_pipe_without_writer() -> None:
    path = tempfile.mktemp(prefix="airmem-")
    os.mkfifo(path)
    ready(path=path)
    open(path, "rb")


@case
def named_pipe_of_silent_writer() -> None:
    path = tempfile.mktemp(prefix="airmem-")
    os.mkfifo(path)

    def child() -> None:
        with open(path, "wb"):
            time.sleep(FOREVER)

    pid = fork(child)
    with open(path, "rb") as reading:
        ready(child=pid, path=path)
        reading.read()


@case
def pidfd_of_child() -> None:
    pid = fork(lambda: time.sleep(FOREVER))
    asked = select.poll()
    asked.register(os.pidfd_open(pid), select.POLLIN)
    ready(child=pid)
    asked.poll()


@case
def output_of_idle_child() -> None:
    reading, writing = os.pipe()

    def child() -> None:
        while True:
            time.sleep(5)

    pid = fork(child)
    os.close(writing)
    ready(child=pid)
    os.read(reading, 1)


@case
def transaction_in_other_thread() -> None:
    """A thread that sleeps where it has begun a transaction does not wait for the database."""
    import sqlite3

    path = tempfile.mktemp(suffix=".db")
    with sqlite3.connect(path) as made:
        made.execute("create table t(x)")

    def write() -> None:
        begun = sqlite3.connect(path, isolation_level=None)
        begun.execute("begin immediate"), time.sleep(FOREVER)

    threading.Thread(target=write, name="writer", daemon=True).start()
    time.sleep(0.3)
    ready()
    sqlite3.connect(path, timeout=FOREVER).execute("insert into t values (1)")


@case
def future_of_a_pool() -> None:
    """Through two pools to the one thread that waits outside."""
    first, second = ThreadPoolExecutor(2, "first"), ThreadPoolExecutor(2, "second")
    connection = silent_connection()
    future = first.submit(lambda: second.submit(connection.recv, 1).result())
    time.sleep(0.3)
    ready()
    future.result()


@case
def lost_result() -> None:
    def work(number: int) -> None:
        if not number:
            os.kill(os.getpid(), signal.SIGKILL)

    globals()["work"] = work
    work.__qualname__ = "work"
    pool = CONTEXT.Pool(2)
    threading.Timer(1.5, ready).start()
    pool.map(work, range(4), chunksize=1)


@case
def coroutine_of_own_loop() -> None:
    """A thread waits for a coroutine under a lock that the loop wants."""
    lock = threading.Lock()

    async def job() -> None:
        with lock:
            pass

    def outside(loop: asyncio.AbstractEventLoop) -> None:
        with lock:
            asyncio.run_coroutine_threadsafe(job(), loop).result()

    async def main() -> None:
        threading.Thread(target=outside, args=(asyncio.get_running_loop(),), name="outside", daemon=True).start()
        await asyncio.sleep(FOREVER)

    threading.Timer(0.7, ready).start()
    asyncio.run(main())


if __name__ == "__main__":
    run()
