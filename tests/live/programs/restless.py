"""A parent whose children are born and end all the time."""

from __future__ import annotations

import os
import select
import signal
import time

from tree import fork, ready

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
ready(child=fork(lambda: None))
while not select.select([0], [], [], 0.002)[0]:
    if os.fork() == 0:
        time.sleep(0.02)
        os._exit(0)
