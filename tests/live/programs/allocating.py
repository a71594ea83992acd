"""A process that allocates, and that answers a line on its standard input with `READY {pid, count}` to show that it still does.

python allocating.py busy           all the time
python allocating.py idle           once a second
python allocating.py blocked FILE   all the time until FILE exists, then it stands still in read(2)
python allocating.py held FILE      until FILE exists, then a call into C holds the interpreter for 45 s
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import sys
import time

count = 0
kept: list[bytearray] = []


def allocate() -> None:
    """Allocate, through malloc and through pymalloc, keep a little and free the rest."""
    global count  # noqa: PLW0603
    blocks = [bytearray(4096) for _ in range(200)]
    words = [str(number) for number in range(2000)]
    kept.append(blocks[0])
    del kept[:-100], words
    count += 1


def tell() -> None:
    """Show that this process lives and allocates."""
    allocate()
    print("READY", json.dumps({"pid": os.getpid(), "count": count}), flush=True)


def hear(seconds: float) -> None:
    """Answer if somebody asks within so many seconds."""
    if select.select([0], [], [], seconds)[0]:
        if not os.read(0, 4096):
            raise SystemExit(0)
        tell()


tell()
mode = sys.argv[1]
while mode not in ("blocked", "held") or not os.path.exists(sys.argv[2]):
    allocate()
    hear({"busy": 0.0, "idle": 1.0, "blocked": 0.02, "held": 0.02}[mode])
    if mode == "busy":
        time.sleep(0)
if mode == "held":
    ctypes.PyDLL(None).sleep(45)  # unlike CDLL, it keeps the interpreter's lock
while True:
    if not os.read(0, 4096):
        raise SystemExit(0)
    tell()
