"""A parent that holds memory and forks workers, each of which holds some and leaves: `traced_tree.py WORKERS HOW`.

HOW is `_exit`, as multiprocessing's workers leave, or `exit`.
"""

import os
import sys

PARENT_BYTES = 8 << 20
WORKER_BYTES = 3 << 20


def parent_holds():
    return bytearray(PARENT_BYTES)


def worker_holds():
    return bytearray(WORKER_BYTES)


kept = parent_holds()
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        kept = worker_holds()
        os._exit(0) if sys.argv[2] == "_exit" else sys.exit(0)
    os.waitpid(child, 0)
