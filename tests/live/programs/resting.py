"""A parent and a child that rest, and that only their own user may read; or, with `undumpable`, not even that one."""

from __future__ import annotations

import sys

from tree import LIBC, PR_SET_DUMPABLE, fork, ready, rest

KEPT = bytearray(8 << 20)

if "undumpable" in sys.argv[1:]:
    LIBC.prctl(PR_SET_DUMPABLE, 0)
ready(child=fork(lambda: None))
rest()
