"""What bench_cow.py looks at: a parent with so many MB of objects, and workers that have collected.

Arguments: workers, MB, and a shared library with `run` (mapper.c): with it the parent maps and unmaps all the time, and
the file that a fourth argument names holds how often, as 8 bytes.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import sys

NODE_BYTES = 430
PR_SET_PDEATHSIG, SIGKILL = 1, 9


class Node:
    """An object of a service."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.options = {"number": number + 1000}


def main() -> None:
    """Build, fork, and map or rest until the reader of standard output is gone."""
    worker_count, heap_mb = int(sys.argv[1]), int(sys.argv[2])
    gc.disable()
    count = heap_mb * (1 << 20) * 2 // 3 // NODE_BYTES
    nodes = [Node(number) for number in range(count)]
    texts = [bytes(3000) + number.to_bytes(4, "little") for number in range(heap_mb * (1 << 20) // 3 // 3072)]
    gc.enable()
    gc.collect()
    reading, writing = os.pipe()
    for _ in range(worker_count):
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
            gc.collect()
            os.write(writing, b".")
            sys.stdin.buffer.read()
            os._exit(0)
    for _ in range(worker_count):
        os.read(reading, 1)
    print("READY", os.getpid(), len(nodes), len(texts), flush=True)
    if len(sys.argv) > 3:
        with open(sys.argv[4], "r+b") as file:
            counter = mmap.mmap(file.fileno(), mmap.PAGESIZE)
            ctypes.CDLL(sys.argv[3]).run(ctypes.byref(ctypes.c_uint64.from_buffer(counter)))
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
