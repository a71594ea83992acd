"""What the programs share that stand still in a known way: one case each, chosen by name."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from tree import LIBC, PR_SET_PDEATHSIG, ready, rest

FOREVER = 10**6
CASES: dict[str, Callable[[], None]] = {}

__all__ = ["FOREVER", "case", "fork", "ready", "rest", "run", "run_with_parent"]


def case(function: Callable[[], None]) -> Callable[[], None]:
    """Make a function a case."""
    CASES[function.__name__] = function
    return function


def run_with_parent() -> None:
    """End with the parent, however that ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def fork(work: Callable[[], object]) -> int:
    """Fork a child that works and then ends; return its pid at once."""
    pid = os.fork()
    if pid == 0:
        run_with_parent()
        try:
            work()
        finally:
            os._exit(0)
    return pid


def run() -> None:
    """Run the case that the command line names."""
    CASES[sys.argv[1]]()
