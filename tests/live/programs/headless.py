"""A process whose first thread has ended while another runs on: its /proc/PID says zombie, its memory is there."""

from __future__ import annotations

import os
import threading
import time

from tree import LIBC, ready

BUFFER = bytearray(os.urandom(1 << 20) * 16)


def stay() -> None:
    """Be the thread that stays."""
    time.sleep(0.2)
    ready(own_bytes=len(BUFFER))
    while os.read(0, 4096):
        pass
    os._exit(0)


threading.Thread(target=stay).start()
LIBC.pthread_exit(None)
