"""A forking parent with every kind of memory, for captures: python3 target.py READY_FILE zombie|plain.

Before it forks: 30 MB of Python objects, 4 MB shared, 8 MB swapped out, a deleted file with an odd name, one huge
page. Then three workers: one idle, one that collects garbage, one that rewrites PAGES pages; and, asked for,
a zombie.
"""

import gc
import json
import mmap
import os
import signal
import sys

PAGES = 509
PAGE = mmap.PAGESIZE
MAP_HUGETLB = 0x40000
MADV_PAGEOUT = 21


def main(ready: str, kind: str) -> None:
    heap = [[number, f"record {number}"] for number in range(150_000)]  # lists, which the collector visits
    shared = mmap.mmap(-1, 4 << 20)
    shared.write(b"s" * (4 << 20))
    private = mmap.mmap(-1, 1024 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    private.write(b"p" * (1024 * PAGE))
    kept = [heap, shared, private, swapped_out(), deleted_file(), huge_page()]
    pids = [fork(wait), fork(collect), fork(lambda: rewrite(private))]
    zombie = fork(lambda: os._exit(0), waits=False) if kind == "zombie" else None
    with open(ready + ".new", "w") as file:
        json.dump({"parent": os.getpid(), "workers": pids, "zombie": zombie}, file)
    os.rename(ready + ".new", ready)
    wait()
    del kept


def swapped_out() -> mmap.mmap:
    block = mmap.mmap(-1, 8 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block.write(os.urandom(8 << 20))
    try:
        block.madvise(MADV_PAGEOUT)
    except OSError as problem:
        print("no MADV_PAGEOUT:", problem)
    return block


def deleted_file() -> mmap.mmap:
    name = f"/tmp/an odd [heap] name {os.getpid()}"
    file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.write(file, b"f" * (64 * PAGE))
    block = mmap.mmap(file, 64 * PAGE)
    os.close(file)
    os.unlink(name)
    block[::PAGE]
    return block


def huge_page() -> "mmap.mmap | None":
    try:
        block = mmap.mmap(-1, 2 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB)
    except OSError as problem:
        print("no huge page:", problem)
        return None
    block[0] = 1
    return block


def fork(work, waits: bool = True) -> int:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work_and_tell(work, writer)
        finally:
            os._exit(1)
    os.close(writer)
    if waits:
        assert os.read(reader, 1) == b"."
    os.close(reader)
    return pid


def work_and_tell(work, writer: int) -> None:
    if work is not wait:
        work()
    os.write(writer, b".")
    wait()


def collect() -> None:
    gc.collect()


def rewrite(block: mmap.mmap) -> None:
    for page in range(PAGES):
        block[page * PAGE] = 1


def wait() -> None:
    while True:
        signal.pause()


main(*sys.argv[1:])
