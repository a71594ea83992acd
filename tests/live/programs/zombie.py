"""A parent of a zombie: a child that has ended and that nobody waits for."""

from __future__ import annotations

import os

from tree import fork, ready, rest

zombie = os.fork()
if zombie == 0:
    os._exit(7)
os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT)
ready(zombie=zombie, child=fork(lambda: None))
rest()
