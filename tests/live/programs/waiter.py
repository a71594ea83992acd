"""A process each of whose threads waits for something that is known, beside a child that holds the other ends.

`READY` names, for each thread: its tid, the system call, and what the kernel should say of it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable

from tree import fork, ready, rest

LOCK = threading.Lock()
TRUTH: dict[str, dict[str, object]] = {}


def wait_in(name: str, work: Callable[[], object], **truth: object) -> None:
    """Start a thread that waits, and note its tid."""
    begun = threading.Event()

    def run() -> None:
        TRUTH[name] = {"tid": threading.get_native_id(), **truth}
        begun.set()
        work()

    threading.Thread(target=run, name=name, daemon=True).start()
    begun.wait()


def accept_and_keep(listener: socket.socket) -> None:
    """Accept and never answer."""
    KEPT.append(listener.accept())


KEPT: list[object] = []
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
inner, outer = socket.socketpair()
reading, writing = os.pipe()
full_reading, full_writing = os.pipe()
handle, path = tempfile.mkstemp(prefix="airmem-waiter-")
own_handle = os.open(path, os.O_RDONLY)
os.unlink(path)
client = socket.create_connection(listener.getsockname())


def child() -> None:
    """Hold the other ends, and nothing of the parent's own."""
    accept_and_keep(listener)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.close(own_handle)
    client.close()
    inner.close()
    os.close(reading)
    os.close(full_writing)


child_pid = fork(child)
outer.close()
os.close(writing)
os.close(full_reading)
os.close(handle)
listener_address = listener.getsockname()
listener.close()
LOCK.acquire()

wait_in("tcp", lambda: client.recv(1), fd=client.fileno(), local=client.getsockname(), remote=listener_address)
wait_in("unix", lambda: inner.recv(1), fd=inner.fileno())
wait_in("pipe", lambda: os.read(reading, 1), fd=reading)
wait_in("full", lambda: os.write(full_writing, bytes(1 << 20)), fd=full_writing)
wait_in("flock", lambda: fcntl.flock(own_handle, fcntl.LOCK_EX), fd=own_handle, inode=os.fstat(own_handle).st_ino)
wait_in("lock", LOCK.acquire)
wait_in("sleep", lambda: time.sleep(10**6))
time.sleep(0.5)
ready(child=child_pid, threads=TRUTH, python=f"{sys.version_info[0]}.{sys.version_info[1]}")
rest()
