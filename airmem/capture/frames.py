"""Page tables for a capture, in plain Python: for the collector that runs alone, so it imports nothing of airmem.

`airmem capture --print-collector --pages` prints it in front of the collector. Python 3.6 or later.
"""

import errno
import mmap
import os
import sys
from array import array
from contextlib import suppress
from typing import Any

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
HUGE_BYTES = 1 << 21
FRAME_MASK = (1 << 55) - 1
PRESENT = 1 << 63
DEVICE_FRAMES = 1 << 33
"""Frames from here on are device memory, which no RSS counts."""

RUN_PAGES = 1 << 13
"""So many pages are read in one call; where all are empty they are left out."""


class Frames:
    """Page tables whose frames are numbered anew from 1: that tells who shares with whom, nothing of the machine."""

    def __init__(self) -> None:
        self._numbers, self._devices = {}, {}  # type: dict[int, int], dict[int, int]
        self.zero_frames = [(self.number(first, count), count) for first, count in find_zero_frames()]

    def number(self, first: int, count: int = 1) -> int:
        """Return the new number of a page frame, the first one's of several."""
        if first >= DEVICE_FRAMES:
            return self._devices.setdefault(first, DEVICE_FRAMES + len(self._devices))
        for frame in range(first, first + count):
            self._numbers.setdefault(frame, len(self._numbers) + 1)
        return self._numbers[first]

    def renumber(self, words: bytes) -> bytes:
        """Return words of pagemap with new frame numbers, and without the places of swapped pages."""
        renewed = array("Q", words)
        for at, word in enumerate(renewed):
            if word:
                renewed[at] = (word & ~FRAME_MASK) | (self.number(word & FRAME_MASK) if word & PRESENT else 0)
        return renewed.tobytes()

    def add_table(self, sink: Any, reads: Any, pid: int) -> "list[tuple[int, int]]":
        """Capture the maps and the page table of a process; return the runs of pages (first, count) that it has."""
        runs, blocks = [], []  # type: list[tuple[int, int]], list[bytes]
        try:
            if reads.take("maps"):
                runs, blocks = self._table(pid, reads.whole("maps"))
                sink.add("proc/%d/pagemap" % pid, *blocks)
        except OSError as problem:
            reads.errors["pagemap"] = problem.errno or errno.EIO
        return runs

    def _table(self, pid: int, maps: bytes) -> "tuple[list[tuple[int, int]], list[bytes]]":
        runs, blocks = [], []  # type: list[tuple[int, int]], list[bytes]
        with open("/proc/%d/pagemap" % pid, "rb", buffering=0) as file:
            for line in maps.splitlines():
                at, end = (int(address, 16) // PAGE_BYTES for address in line.split(None, 1)[0].split(b"-"))
                while at < end and at < (1 << 63) // PAGE_BYTES:
                    words = os.pread(file.fileno(), min(end - at, RUN_PAGES) * 8, at * 8)
                    if words.strip(b"\0"):
                        runs.append((at, len(words) // 8))
                        blocks.append(self.renumber(words))
                    at += len(words) // 8 or end
        return runs, blocks

    def add_counts(self, sink: Any) -> None:
        """Capture how often each frame is mapped in the whole system, by its new number, where that shows."""
        with suppress(OSError):
            sink.add("proc/kpagecount", self._counts())

    def _counts(self) -> bytes:
        counts = array("Q", bytes(8 * len(self._numbers) + 8))
        first, words = 0, array("Q")
        for frame, number in sorted(self._numbers.items()):
            if frame >= first + len(words):
                first, words = frame, array("Q", read_counts(frame, 64) or bytes(8))
            counts[number] = words[frame - first]
        return counts.tobytes()


def read_counts(first: int, count: int, path: str = "/proc/kpagecount") -> bytes:
    """Return the 8-byte words of some page frames, by default how often they are mapped; raises OSError."""
    with open(path, "rb", buffering=0) as file:
        words = os.pread(file.fileno(), count * 8, first * 8)
        return words[: len(words) // 8 * 8]


def frame_at(address: int) -> int:
    """Return the page frame behind an address of this process, 0 where the number is hidden."""
    with suppress(OSError), open("/proc/self/pagemap", "rb", buffering=0) as file:
        return int.from_bytes(os.pread(file.fileno(), 8, address // PAGE_BYTES * 8), sys.byteorder) & FRAME_MASK
    return 0


def find_zero_frames() -> "list[tuple[int, int]]":
    """Return the frames (first, count) of the zero page and of the huge zero page, found by mapping them."""
    size, found = 4 * HUGE_BYTES + 3 * PAGE_BYTES, []  # type: int, list[tuple[int, int]]
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ) as area:
        with open("/proc/self/maps", "rb") as file:
            ranges = [[int(one, 16) for one in line.split(None, 1)[0].split(b"-")] for line in file]
        address = next((start for start, end in ranges if end - start == size), 0)
        aligned = -address % HUGE_BYTES
        with suppress(OSError, AttributeError):  # Python 3.8
            area.madvise(mmap.MADV_HUGEPAGE, aligned, HUGE_BYTES)
            area.madvise(mmap.MADV_NOHUGEPAGE, aligned + HUGE_BYTES, HUGE_BYTES)
        for offset, count in ((aligned + HUGE_BYTES, 1), (aligned, HUGE_BYTES // PAGE_BYTES)):
            frame = frame_at(address + offset) if address and area[offset] == 0 else 0
            if frame and all(not first <= frame < first + length for first, length in found):
                found.append((frame, count))
    return found
