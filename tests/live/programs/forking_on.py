"""A process that forks a child that allocates and ends, and one that allocates until it is told to end; answers lines.

Each line on standard input makes it fork both anew and answer with the pid of the one that stays.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time


def allocate(seconds: float) -> None:
    """Allocate for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        blocks = [bytearray(3000) for _ in range(300)]
        time.sleep(0.01)
        del blocks


def fork(seconds: float) -> int:
    """Fork a child that allocates for so long and leaves as multiprocessing's do."""
    child = os.fork()
    if child == 0:
        allocate(seconds)
        os._exit(0)
    return child


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
stays = 0
while True:
    print("READY", json.dumps({"pid": os.getpid(), "stays": stays}), flush=True)
    while not select.select([0], [], [], 0)[0]:
        allocate(0.02)
    if not os.read(0, 4096):
        sys.exit(0)
    fork(0.2)
    stays = fork(120)
