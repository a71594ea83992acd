"""Reads that the kernel may never answer, given up after a while.

A process that is stuck inside the kernel while it changes its own address space holds a lock that /proc/PID/cmdline,
maps and mem wait for; a file below a dead network mount waits for its server.
"""

from __future__ import annotations

import errno
from threading import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Found = TypeVar("Found")


def within(seconds: float, ask: Callable[[], Found]) -> Found:
    """Return what `ask` returns; its errors are raised, and TimeoutError (an OSError) when it takes longer.

    Who waits then is a thread that is left behind: it ends with airmem.
    """
    found: list[Found] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            found.append(ask())
        except BaseException as fault:
            faults.append(fault)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if faults:
        raise faults[0]
    if not found:
        raise TimeoutError(errno.ETIMEDOUT, f"the kernel gave no answer within {seconds:g} s")
    return found[0]
