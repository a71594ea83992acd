"""Pages that an RSS counts in its own way: the zero pages, huge pages, hugetlb.

Arguments: any of `zero` `thp` `hugetlb`.
"""

from __future__ import annotations

import mmap
import sys

from tree import PAGE_BYTES, fork, ready, rest

MIB = 1 << 20
MAP_HUGETLB = 0x40000
KEPT: list[mmap.mmap] = []


def make(size_bytes: int, advice: int | None = None, flags: int = 0) -> mmap.mmap:
    """Return private anonymous memory, kept for the life of this process."""
    area = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | flags)
    if advice is not None:
        area.madvise(advice)
    KEPT.append(area)
    return area


def read(area: mmap.mmap, step_bytes: int) -> None:
    """Read a byte of each step."""
    for offset in range(0, len(area), step_bytes):
        area[offset]


def write_some() -> None:
    """Rewrite a page in every huge page that was inherited."""
    for area in WRITTEN:
        for offset in range(0, len(area), 2 * MIB):
            area[offset] = 2


WRITTEN: list[mmap.mmap] = []
if "zero" in sys.argv:
    read(make(8 * MIB, mmap.MADV_NOHUGEPAGE), PAGE_BYTES)
    read(make(8 * MIB, mmap.MADV_HUGEPAGE), PAGE_BYTES)
if "thp" in sys.argv:
    WRITTEN.append(make(16 * MIB, mmap.MADV_HUGEPAGE))
    WRITTEN[-1].write(b"x" * len(WRITTEN[-1]))
if "hugetlb" in sys.argv:
    make(4 * MIB, flags=MAP_HUGETLB).write(b"x" * (4 * MIB))
ready(child=fork(write_some))
rest()
