"""A parent with objects and data, and workers that write to what they inherited, each in one known way.

Arguments: how many MB, then `freeze` (gc.freeze before the fork), `numpy` and `sentinel` in any order. It is ready first before it
forks. Orders on standard input:

  warm                 write all that a fork writes: what is written now, the fork that follows leaves where it is
  fork                 one more worker appears and rests
  huge START-END ...   the parent asks for huge pages there, before the fork
  collect, refer, visit, mutate, allocate, free, thin, drop, rewrite, array, shared, spawn, hide
                       each by `all`, `first`, `parent` or `grandchildren`

`refer` takes and keeps a reference to every object, `visit` takes it and lets go, `mutate` changes one attribute of each node, `allocate`, `free`,
`thin` and `drop` use the pools that were inherited, `rewrite` and `array` change plain data in place (a bytearray, numpy's), `shared`
writes to memory that is shared on purpose, `spawn` has a worker fork a grandchild, `hide` makes a process one that its own
user may not look at. The collector never runs unless
it is ordered to.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import signal
import sys

from tree import LIBC, PR_SET_DUMPABLE, PR_SET_PDEATHSIG, ready

MIB = 1 << 20
NODE_BYTES = 690
"""About what a node and its row take."""

MADV_COLLAPSE = 25
HUGE_BYTES = 2 * MIB
HEAP_MB = int(sys.argv[1])
OPTIONS = sys.argv[2:]
BUFFER_BYTES = 256 * 1024
GRANDCHILDREN = "grandchildren"
STEPS = (
    "collect",
    "refer",
    "visit",
    "mutate",
    "allocate",
    "free",
    "drop",
    "rewrite",
    "array",
    "shared",
    "spawn",
    "hide",
)


class Node:
    """An object of a service. Its attributes lie in itself, so that who changes one changes its page."""

    __slots__ = (*(f"empty{place}" for place in range(16)), "number", "options")

    def __init__(self, number: int) -> None:
        self.number = number + 1000
        self.options = {"number": number + 2000, "text": str(number) * 8}


class Sentinel(type):
    """Makes classes that are their own type, as the package h11 does."""

    def __new__(cls, name: str, bases: tuple, namespace: dict) -> Sentinel:
        made = super().__new__(cls, name, bases, namespace)
        made.__class__ = made
        return made


class Heap:
    """What is inherited."""

    def __init__(self, heap_bytes: int) -> None:
        half = heap_bytes // 2
        count = half // NODE_BYTES
        self.nodes = [Node(number) for number in range(count)]
        self.rows = [[[number + 3000, str(number)], {"row": [number]}] for number in range(count)]
        self.doomed = [bytes(96) for _ in range(count)]
        self.buffers = [bytearray(BUFFER_BYTES) for _ in range(half // BUFFER_BYTES)]
        self.arrays = make_arrays(half) if "numpy" in OPTIONS else []
        self.shared = mmap.mmap(-1, half)
        self.shared.write(b"x" * half)
        self.kept: list[object] = []

    def counts(self) -> dict[str, int]:
        """How many objects of which type `refer` refers to."""
        count = len(self.nodes)
        return {"Node": count, "list": 3 * count, "dict": 2 * count}

    def collect(self) -> None:
        """Run a full collection."""
        gc.collect()

    def refer(self) -> None:
        """Keep a reference to every node, its dict, every row and its parts."""
        self.kept = [
            self.nodes[:],
            [node.options for node in self.nodes],
            self.rows[:],
            [row[0] for row in self.rows],
            [row[1] for row in self.rows],
            [row[1]["row"] for row in self.rows],
        ]

    def visit(self) -> None:
        """Look at every object, so that all counts are afterwards what they were."""
        self.refer()
        self.kept = []

    def mutate(self) -> None:
        """Give every node another number."""
        for node in self.nodes:
            node.number += 100_000

    def allocate(self) -> None:
        """Fill what is free in inherited pools with objects, and go on in new ones."""
        self.kept = [bytes(96) for _ in range(len(self.nodes) // 4)]

    def free(self) -> None:
        """Free objects."""
        del self.doomed[:]

    def thin(self) -> None:
        """Free every other object, so that there is room in each of their pools."""
        del self.doomed[::2]

    def drop(self) -> None:
        """Free half of the rows, which the collector tracks, and make others."""
        count = len(self.rows)
        del self.rows[::2]
        self.kept = [[[number], {"fresh": [number]}] for number in range(count)]

    def rewrite(self) -> None:
        """Replace every byte of the plain data."""
        for buffer in self.buffers:
            ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(buffer)), 1 + os.getpid() % 250, len(buffer))

    def array(self) -> None:
        """Change every number of the arrays in place."""
        for place in range(len(self.arrays)):
            self.arrays[place] += 1

    def hide(self) -> None:
        """Do as Airflow's task supervisors do."""
        LIBC.prctl(PR_SET_DUMPABLE, 0)

    def write_shared(self) -> None:
        """Write where all may write."""
        self.shared[: len(self.shared)] = b"y" * len(self.shared)


def make_arrays(size_bytes: int) -> list:
    """Return arrays of 1 MiB, which numpy does not ask huge pages for."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import numpy as np

    return [np.arange(MIB // 8) for _ in range(size_bytes // MIB)]


def collapse(ranges: list[str]) -> None:
    """Have the kernel put these addresses of this process into huge pages now (Linux 6.1, MADV_COLLAPSE).

    Where it cannot, since nothing is mapped there, is no error: who orders it counts the huge pages.
    """
    for one in ranges:
        start, end = (int(part, 16) for part in one.split("-"))
        for place in range(start, end, HUGE_BYTES):
            LIBC.madvise(ctypes.c_void_p(place), ctypes.c_size_t(HUGE_BYTES), MADV_COLLAPSE)


class Staff:
    """The workers, and the grandchildren that each may fork."""

    def __init__(self, heap: Heap) -> None:
        self.heap = heap
        self.pids: list[int] = []
        self.grandchildren: list[int] = []
        self.orders: list[int] = []
        self.reports, self.report = os.pipe()

    def fork(self) -> None:
        """Fork a worker, which rests until an order comes."""
        self.warm()
        orders, order = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.live(orders)
        os.close(orders)
        self.orders.append(order)
        self.pids.append(pid)
        self.wait(1)

    def warm(self) -> None:
        """Do what a fork does without forking."""
        orders, order = os.pipe()
        os.close(orders)
        os.close(order)

    def live(self, orders: int, level: int = 0) -> None:
        """Be a worker (level 0) or a grandchild (1): report, then carry out orders; never return."""
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        child_order = -1
        os.write(self.report, os.getpid().to_bytes(4, "little"))
        while words := os.read(orders, 2):
            step, wanted_level = words[0], words[1]
            if wanted_level > level:
                os.write(child_order, words)
                continue
            if STEPS[step] == "spawn":
                child_orders, child_order = os.pipe()
                if os.fork() == 0:
                    self.live(child_orders, level + 1)
                continue
            self.do(STEPS[step])
            os.write(self.report, os.getpid().to_bytes(4, "little"))
        os._exit(0)

    def do(self, step: str) -> None:
        """Carry out a step in this process."""
        getattr(self.heap, "write_shared" if step == "shared" else step)()

    def order(self, step: str, who: str) -> None:
        """Have somebody carry out a step, and return when it is done."""
        if who == "parent":
            self.do(step)
            return
        chosen = self.orders[:1] if who == "first" else self.orders
        for order in chosen:
            os.write(order, bytes([STEPS.index(step), int(who == GRANDCHILDREN)]))
        told = self.wait(len(chosen))
        if step == "spawn":
            self.grandchildren += told

    def wait(self, count: int) -> list[int]:
        """Return the pids of so many who have reported."""
        words = b""
        while len(words) < 4 * count:
            words += os.read(self.reports, 4 * count - len(words))
        return [int.from_bytes(words[place : place + 4], "little") for place in range(0, len(words), 4)]


def main() -> None:
    """Build, then obey."""
    gc.disable()
    sentinels = [Sentinel(name, (Sentinel,), {}) for name in ("FIRST", "SECOND") if "sentinel" in OPTIONS]
    heap = Heap(HEAP_MB * MIB)
    heap.kept = [sentinels]
    staff = Staff(heap)
    gc.collect()
    if "freeze" in OPTIONS:
        gc.freeze()
    truth = {
        "version": sys.version.split()[0],
        "frozen_count": gc.get_freeze_count(),
        "counts": heap.counts(),
        "heap_bytes": HEAP_MB * MIB,
    }
    ready(workers=[], grandchildren=[], **truth)
    while line := sys.stdin.readline():
        words = line.split()
        if words[0] in ("fork", "warm"):
            getattr(staff, words[0])()
        elif words[0] == "huge":
            collapse(words[1:])
        else:
            staff.order(words[0], words[1])
        ready(workers=staff.pids, grandchildren=staff.grandchildren, **truth)
    os._exit(0)


main()
