"""A process of two threads that spends its time inside malloc's lock, and answers a line on standard input.

malloc_trim holds the lock of the heap for as long as it walks it; here that is nearly always.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import threading

libc = ctypes.CDLL(None)
threading.Thread(target=threading.Event().wait, daemon=True).start()
blocks = [bytearray(9000) for _ in range(5000)]
del blocks[::2]
count = 0
while True:
    for _ in range(20):
        libc.malloc_trim(0)
    count += 1
    if count == 1 or select.select([0], [], [], 0)[0]:
        if count > 1 and not os.read(0, 4096):
            raise SystemExit(0)
        print("READY", json.dumps({"pid": os.getpid(), "count": count}), flush=True)
