"""A parent of a child that is not dumpable, as Airflow's task supervisors are, and that writes pages of its own.

Arguments: how many pages; optionally a uid to become first.
"""

from __future__ import annotations

import mmap
import os
import sys

from tree import LIBC, PAGE_BYTES, PR_SET_DUMPABLE, fork, ready, rest

PAGES = int(sys.argv[1])
KEPT = []


def hide() -> None:
    """Write pages, then close the doors."""
    area = mmap.mmap(-1, PAGES * PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.write(b"x" * len(area))
    KEPT.append(area)
    LIBC.prctl(PR_SET_DUMPABLE, 0)


if len(sys.argv) > 2:
    uid = int(sys.argv[2])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    LIBC.prctl(PR_SET_DUMPABLE, 1)
hidden = fork(hide)
ready(hidden=hidden, child=fork(lambda: None), own_bytes=PAGES * PAGE_BYTES)
rest()
