"""A service as measurements need it: a parent of so many MB with imports, objects, arrays, and workers of 8 kinds.

Arguments: how many workers, how many MB. Workers by number: 0 collects, 1 walks a quarter of the objects, 2 walks a
twentieth, 3 allocates 4 MB, 4 rewrites half of an array of huge pages, 5 to 7 idle; at most 8 workers collect.
"""

from __future__ import annotations

import gc
import mmap
import os
import sys
from contextlib import suppress
from importlib import import_module

from tree import LIBC, PR_SET_PDEATHSIG, ready, rest, rest_forever

MIB = 1 << 20
MODULES = (
    "asyncio concurrent.futures decimal email.message http.server logging.config multiprocessing sqlite3 ssl"
    " unittest.mock urllib.request xml.etree.ElementTree zoneinfo numpy click psutil rich.console rich.table"
)
"""What a service imports: some 300 mappings."""

WORKERS, HEAP_MB = int(sys.argv[1]), int(sys.argv[2])
SHARDS = 40
MOST_COLLECTIONS = 8


class Task:
    """An object of the service."""

    def __init__(self, number: int) -> None:
        self.name = f"task_{number:09d}"
        self.upstream = [number, number + 1, float(number)]
        self.options = {"owner": "airmem", "retries": number % 7, "note": str(number * 31)}


def rss_bytes() -> int:
    """Return this process's RSS."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def build(heap_bytes: int) -> list[list[Task]]:
    """Return objects, as many as the heap takes."""
    shards: list[list[Task]] = [[] for _ in range(SHARDS)]
    number = 0
    while rss_bytes() < heap_bytes:
        for shard in shards:
            shard.extend(Task(number + step) for step in range(500))
            number += 500
    return shards


def map_memory(size_bytes: int, advice: int) -> mmap.mmap:
    """Return private anonymous memory."""
    area = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(advice)
    return area


def walk(shards: list[list[Task]]) -> int:
    """Refer to each object for a moment."""
    return sum(len(task.name) for shard in shards for task in shard)


os.environ["OPENBLAS_NUM_THREADS"] = "1"
for module in MODULES.split():
    with suppress(ImportError):
        import_module(module)
HUGE = map_memory(32 * MIB, mmap.MADV_HUGEPAGE)
HUGE.write(b"x" * len(HUGE))
NEVER_WRITTEN = map_memory(16 * MIB, mmap.MADV_HUGEPAGE)
for offset in range(0, len(NEVER_WRITTEN), 4096):
    NEVER_WRITTEN[offset]
SHARED = mmap.mmap(-1, 8 * MIB)
SHARED.write(b"x" * 4 * MIB)
OBJECTS = build(HEAP_MB * MIB)
KEPT: list[object] = []
gc.collect()


def work(number: int) -> None:
    """Do what a worker of this number does."""
    kind = number % 8
    if kind == 0 and number // 8 < MOST_COLLECTIONS:
        gc.collect()
    elif kind in (1, 2):
        walk(OBJECTS[: SHARDS // (4 if kind == 1 else 20)])
    elif kind == 3:
        KEPT.append(bytearray(os.urandom(4096) * 1024))
    elif kind == 4:
        HUGE[: 16 * MIB] = b"y" * 16 * MIB
    SHARED[number * 4096 % (4 * MIB)] = 1


reports, report = os.pipe()
for worker in range(WORKERS):
    if os.fork() == 0:
        LIBC.prctl(PR_SET_PDEATHSIG, 9)
        work(worker)
        os.write(report, b".")
        rest_forever()
done = 0
while done < WORKERS:
    done += len(os.read(reports, 1024))
ready()
rest()
