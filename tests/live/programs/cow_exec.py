"""A parent with objects, a worker that has called exec, and one that goes on being forked and ended."""

from __future__ import annotations

import gc
import os
import signal
import sys

from tree import LIBC, PR_SET_PDEATHSIG, fork, ready

OBJECTS = [[number] for number in range(int(sys.argv[1]))]


def become_another_program() -> int:
    """Fork a child that calls exec."""
    pid = os.fork()
    if pid == 0:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.execvp("sleep", ["sleep", "1000"])
    return pid


def main() -> None:
    """Report, then fork and end workers as fast as it goes until told to end."""
    os.set_blocking(0, False)
    executed = become_another_program()
    ready(executed=executed, resting=fork(lambda: None))
    while True:
        pid = os.fork()
        if pid == 0:
            gc.collect()
            os._exit(0)
        os.waitpid(pid, 0)
        try:
            if not os.read(0, 1):
                os._exit(0)
        except BlockingIOError:
            continue


main()
