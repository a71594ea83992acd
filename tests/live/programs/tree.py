"""What every target program here does: fork, tell that all is ready, and rest until told to end.

A program prints `READY {json}` on a line of its own once its truth holds. It ends when its standard input is closed;
its children end with it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME = 1, 4, 15


def fork(work: Callable[[], object]) -> int:
    """Fork a child that works, tells its parent so, and rests; return its pid when it has worked."""
    reports, report = os.pipe()
    pid = os.fork()
    if pid == 0:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(reports)
        try:
            work()
            os.write(report, b".")
            os.close(report)
            rest_forever()
        finally:
            os._exit(1)
    os.close(report)
    if not os.read(reports, 1):
        sys.exit(f"child {pid} failed")
    os.close(reports)
    return pid


def ready(**truth: object) -> None:
    """Tell that the truth holds from now on."""
    print("READY", json.dumps({"pid": os.getpid(), **truth}), flush=True)


def rest() -> NoReturn:
    """Rest until standard input is closed."""
    while os.read(0, 4096):
        pass
    os._exit(0)


def rest_forever() -> NoReturn:
    """Rest until killed, as a child that its parent's end kills."""
    while True:
        signal.pause()
