"""Children that rewrite exactly a prime number of pages, and pages shared in every way a tree can share them.

Arguments: `disjoint` (each child its own pages) or `overlapping` (all begin at the first page). Commands on standard
input: `warm` rewrites pages of a second area by the same code, so that `go`, which rewrites the first, dirties
nothing but the pages that it names.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile

from tree import LIBC, PAGE_BYTES, ready, rest_forever

VARIANT = sys.argv[1]
PRIMES = (101, 211, 307, 401)
GRANDCHILD_PRIME = 53
AREA_PAGES = 1500
SHARED_PAGES, PARENT_FILE_PAGES, SIBLINGS_FILE_PAGES, PAIR_FILE_PAGES = 64, 32, 48, 16


def make_area() -> mmap.mmap:
    """Return private anonymous pages, each of its own (no huge ones), all written."""
    area = mmap.mmap(-1, AREA_PAGES * PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(mmap.MADV_NOHUGEPAGE)
    write(area, 0, AREA_PAGES)
    return area


def write(area: mmap.mmap, first: int, count: int) -> None:
    """Write to each of these pages through its address, which changes nothing else."""
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    for page in range(first, first + count):
        LIBC.memset(ctypes.c_void_p(start + page * PAGE_BYTES), 1 + os.getpid() % 250, ctypes.c_size_t(64))


def make_file(pages: int) -> int:
    """Return the descriptor of a file that has no name any more."""
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * (pages * PAGE_BYTES))
        file.flush()
        return os.dup(file.fileno())


def read_mapped(file: int, pages: int) -> mmap.mmap:
    """Map a file and read each of its pages."""
    mapping = mmap.mmap(file, pages * PAGE_BYTES, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
    return read_pages(mapping, pages)


def read_pages(mapping: mmap.mmap, pages: int) -> mmap.mmap:
    """Read a byte of each page."""
    for page in range(pages):
        mapping[page * PAGE_BYTES]
    return mapping


AREAS = {b"w": make_area(), b"g": make_area()}
SHARED = mmap.mmap(-1, SHARED_PAGES * PAGE_BYTES)
FILES = {name: make_file(pages) for name, pages in (("siblings", SIBLINGS_FILE_PAGES), ("pair", PAIR_FILE_PAGES))}
KEPT: list[object] = []


def obey(start: int, count: int, orders: int, reports: int) -> None:
    """Rewrite pages of the area that each order names, and report."""
    while order := os.read(orders, 1):
        write(AREAS[order], start, count)
        os.write(reports, b".")
    rest_forever()


def live(number: int, orders: list[int], reports: int, grandchildren: int) -> None:
    """Be a child: map what it shares with some, fork a grandchild if it is the first, and obey."""
    KEPT.append(read_mapped(FILES["siblings"], SIBLINGS_FILE_PAGES))
    if number < 2:
        KEPT.append(read_mapped(FILES["pair"], PAIR_FILE_PAGES))
    KEPT.append(read_pages(SHARED, SHARED_PAGES // (number + 1)))
    if number == 0:
        start = sum(PRIMES) if VARIANT == "disjoint" else 0
        pid = os.fork()
        if pid == 0:
            LIBC.prctl(1, 9)
            obey(start, GRANDCHILD_PRIME, orders[len(PRIMES)], reports)
        os.write(grandchildren, pid.to_bytes(4, "little"))


def main() -> None:
    """Fork, then carry out orders."""
    write(SHARED, 0, SHARED_PAGES)
    pipes = [os.pipe() for _ in (*PRIMES, GRANDCHILD_PRIME)]
    reports, report = os.pipe()
    found, grandchildren = os.pipe()
    children = []
    for number, prime in enumerate(PRIMES):
        start = sum(PRIMES[:number]) if VARIANT == "disjoint" else 0
        inherited = os.fork()
        if inherited == 0:
            LIBC.prctl(1, 9)
            live(number, [read_end for read_end, _ in pipes], report, grandchildren)
            os.write(report, b".")
            obey(start, prime, pipes[number][0], report)
        os.read(reports, 1)
        children.append(inherited)
    KEPT.append(read_mapped(make_file(PARENT_FILE_PAGES), PARENT_FILE_PAGES))
    truth = {
        "children": children,
        "grandchild": int.from_bytes(os.read(found, 4), "little"),
        "primes": PRIMES,
        "grandchild_prime": GRANDCHILD_PRIME,
    }
    ready(**truth)
    while command := os.read(0, 64):
        for _, write_end in pipes:
            os.write(write_end, command[:1])
        for _ in pipes:
            os.read(reports, 1)
        ready(**truth)
    os._exit(0)


main()
