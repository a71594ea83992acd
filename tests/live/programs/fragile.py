"""A process that a stop would harm: a thread in the middle of a write to a full pipe, another in epoll_wait from C.

`finish` on standard input lets both end; the next READY tells how many bytes were written and what epoll_wait gave.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time

from tree import LIBC, ready, rest

WRITTEN: list[int] = []
WOKEN: list[int] = []
SIZE_BYTES = 1 << 20

reading, writing = os.pipe()
bell_reading, bell_writing = os.pipe()
epoll = LIBC.epoll_create1(0)


class Event(ctypes.Structure):
    """struct epoll_event, packed on x86-64."""

    _pack_ = 1 if os.uname().machine == "x86_64" else 8
    _fields_ = (("events", ctypes.c_uint32), ("number", ctypes.c_uint64))


def wait() -> None:
    """Wait in epoll_wait(2) as a C library does, without trying again."""
    event = Event(1, 7)
    LIBC.epoll_ctl(epoll, 1, bell_reading, ctypes.byref(event))
    found = Event()
    got = LIBC.epoll_wait(epoll, ctypes.byref(found), 1, -1)
    WOKEN.append(got if got >= 0 else -ctypes.get_errno())


writer = threading.Thread(target=lambda: WRITTEN.append(os.write(writing, bytes(SIZE_BYTES))), daemon=True)
waiter = threading.Thread(target=wait, daemon=True)
writer.start()
waiter.start()
time.sleep(0.3)
ready(size_bytes=SIZE_BYTES, threads=[writer.native_id, waiter.native_id])
for line in sys.stdin:
    if line.strip() == "finish":
        os.write(bell_writing, b".")
        waiter.join()
        os.set_blocking(reading, False)
        while writer.is_alive():
            try:
                os.read(reading, 1 << 16)
            except BlockingIOError:
                time.sleep(0.001)
        ready(written=WRITTEN, woken=WOKEN)
rest()
