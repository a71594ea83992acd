"""The anonymous pages of the processes of a tree, from maps and pagemap: who has a copy of what."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import numpy.typing as npt

from airmem.collect.pacing import Pace
from airmem.collect.pages import MOST_PAGES, SPARSE_PAGES, read_by_frame
from airmem.errors import Malformed
from airmem.kernel.frames import find_fresh_frame
from airmem.kernel.maps import UNCOUNTED, parse_maps
from airmem.kernel.pagemap_scan import scan_zero_and_huge
from airmem.kernel.smaps import parse_smaps
from airmem.kernel.stat import parse_fault_count
from airmem.model.anonymous import ANONYMOUS_EXCLUSIVE, AddressRange, AnonymousPages
from airmem.model.pages import FILE_OR_SHARED, FRAME_MASK, PRESENT, SWAPPED
from airmem.units import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from airmem.kernel.source import ProcessFiles, Source
    from airmem.model.contents import ProcessKey
    from airmem.model.snapshot import ProcessSnapshot

GAP_PAGES = 256
"""Mappings this close are read in one call: a hole costs 2.4 ns a page, a call as much as 400 pages."""

UNIT_PAGES = 1 << 10
"""Of a process at work so many entries of the page table are read at once: the kernel lets go of its lock every 512."""

WORD_BYTES = 8

DEVICE_FRAMES = 1 << 33
"""Frames from here on (32 TiB) are device memory, which no RSS counts."""

NOT_MEMORY = frozenset(name.decode() for name in UNCOUNTED) | {"[vdso]", "/anon_hugepage (deleted)"}
"""Mappings whose pages look anonymous in pagemap and are the kernel's own, or hugetlb pages, which no RSS counts."""

FLAGS_FILE = "/proc/kpageflags"
HUGE_HEAD, HUGE_TAIL = (np.uint64(1 << 22 | 1 << kind) for kind in (15, 16))
"""Flags of the first and of the other frames of a huge page (KPF_THP with KPF_COMPOUND_HEAD or _TAIL)."""

HUGE_FRAMES = (1 << 21) // PAGE_BYTES
KIND_SHIFT = 61
ANONYMOUS_KINDS = (PRESENT >> KIND_SHIFT, SWAPPED >> KIND_SHIFT)
assert not any(kind & FILE_OR_SHARED >> KIND_SHIFT for kind in ANONYMOUS_KINDS)  # noqa: S101  # what the shift is for

Runs = list[tuple[int, int]]
"""(first page, page count), ascending."""


class LiveAnonymousTables:
    """The anonymous pages of the processes of a tree (see model.anonymous.AnonymousTables)."""

    def __init__(self, reader: Source, processes: tuple[ProcessSnapshot, ...], pace: Pace | None = None) -> None:
        self._reader = reader
        self._pace = pace or Pace(reader)
        self._processes = processes
        self.shows_frames = reader.frames_obstacle() is None
        self._fault_counts: dict[int, int] = {}
        self._zero_frames = reader.zero_frames() if self.shows_frames else ()

    def read(self, position: int) -> AnonymousPages | None:
        """Return the anonymous pages of a process, or None if its page table cannot be read."""
        process = self._processes[position].process
        if process.is_zombie or process.is_kernel_thread:
            return None
        with suppress(OSError, Malformed), self._reader.process(process.pid) as files:
            self._fault_counts[position] = parse_fault_count(files.read("stat"))
            return self._read(files, process.key)
        return None

    def find_changed(
        self, position: int, pages: npt.NDArray[np.int64], frames: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_] | None:
        """Tell which pages are not mapped any more as when they were read; None when the process had no fault since."""
        if not self._reader.is_live:
            return None
        try:
            process = self._processes[position].process
            with self._reader.process(process.pid) as files:
                if parse_fault_count(files.read("stat")) == self._fault_counts.get(position):
                    return None
                cuts = np.flatnonzero(np.diff(pages) > GAP_PAGES) + 1
                runs = [(int(part[0]), int(part[-1] - part[0]) + 1) for part in np.split(pages, cuts) if len(part)]
                raw = self._read_table(files, process.key, runs)
        except (OSError, Malformed):
            return np.ones(len(pages), np.bool_)
        begins = np.concatenate(([0], np.cumsum([count for _, count in runs])))[:-1]
        shifts = begins - np.array([first for first, _ in runs], np.int64)
        words = raw[pages + np.repeat(shifts, [len(part) for part in np.split(pages, cuts) if len(part)])]
        is_gone = words & np.uint64(PRESENT) == 0
        moved: npt.NDArray[np.bool_] = is_gone | ((words & np.uint64(FRAME_MASK)).astype(np.int64) != frames)
        return moved

    def find_exclusive(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_] | None:
        """Tell for each frame (ascending) whether it is exclusive to one address space; None without kpageflags."""
        with suppress(OSError):
            words = read_by_frame(self._reader, FLAGS_FILE, frames)
            exclusive: npt.NDArray[np.bool_] = words & np.uint64(ANONYMOUS_EXCLUSIVE) != 0
            tails = np.flatnonzero(words & HUGE_TAIL == HUGE_TAIL)
            if len(tails):
                exclusive[tails] |= self._are_heads_exclusive(frames[tails])
            return exclusive
        return None

    def _are_heads_exclusive(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell of frames within huge pages whether those are exclusive: of one mapped whole only the head says so."""
        heads, inverse = np.unique(frames & ~(HUGE_FRAMES - 1), return_inverse=True)
        words = read_by_frame(self._reader, FLAGS_FILE, heads)
        wanted = np.uint64(ANONYMOUS_EXCLUSIVE) | HUGE_HEAD
        told: npt.NDArray[np.bool_] = (words & wanted == wanted)[inverse.reshape(-1)]
        return told

    def is_trusted(self, shared: npt.NDArray[np.int64]) -> bool:
        """Whether the flag means what it should: airmem's own fresh page has it, pages that two map do not."""
        if not self._reader.is_live:
            kept = shared if len(shared) else np.zeros(1, np.int64)
            return self.find_exclusive(kept) is not None  # tried where the capture was made, if it has flags at all
        with suppress(OSError, ValueError):
            fresh = find_fresh_frame(self._reader)
            mine = self.find_exclusive(np.array([fresh], np.int64)) if fresh else None
            theirs = self.find_exclusive(shared)
            return mine is not None and theirs is not None and bool(mine.all()) and not bool(theirs.any())
        return False

    def _read(self, files: ProcessFiles, key: ProcessKey) -> AnonymousPages | None:
        ranges = parse_maps(files.read("maps"))
        private = [one for one in ranges if one.permissions.endswith("p") and one.name not in NOT_MEMORY]
        runs = _merge(private)
        if sum(count for _, count in runs) > SPARSE_PAGES:
            runs = _merge(_resident(files))
        if sum(count for _, count in runs) > MOST_PAGES:
            return None
        raw = self._read_table(files, key, runs)
        pages, words = _choose(raw, runs)
        keep = _within(pages, private)
        if self._zero_frames:
            frames = words & np.uint64(FRAME_MASK)
            keep &= (frames < np.uint64(DEVICE_FRAMES)) | (words & np.uint64(PRESENT) == 0)
            for first, count in self._zero_frames:
                keep &= frames - np.uint64(first) >= np.uint64(count)
        huge = None
        if not self.shows_frames:
            is_zero, huge = self._without_frames(files, key, runs, pages)
            keep &= ~is_zero
        if not keep.all():
            pages, words = pages[keep], words[keep]
            huge = None if huge is None else huge[keep]
        return AnonymousPages(pages=pages, words=words, huge=huge, ranges=ranges)

    def _read_table(self, files: ProcessFiles, key: ProcessKey, runs: Runs) -> npt.NDArray[np.uint64]:
        """Return the words of runs of pages."""
        raw = np.empty(sum(count for _, count in runs), np.uint64)
        target = memoryview(raw.view(np.uint8))  # type: ignore[arg-type]
        filled = 0
        for part in self._parts(key, runs):
            end = filled + sum(count for _, count in part) * WORD_BYTES
            files.read_words("pagemap", part, target[filled:end])
            filled = end
        return raw

    def _parts(self, key: ProcessKey, runs: Runs) -> Iterator[Runs]:
        """Return runs as they may be read: all at once, or of a process at work in pieces with pauses between."""
        if not self._pace.is_at_work(key):
            yield runs
            return
        for first, count in runs:
            for at in range(first, first + count, UNIT_PAGES):
                with self._pace.reading(key):
                    yield [(at, min(UNIT_PAGES, first + count - at))]

    def _without_frames(
        self, files: ProcessFiles, key: ProcessKey, runs: Runs, pages: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_] | None]:
        """Return which pages are zero pages and which are huge, asked of the kernel since frames do not tell."""
        zero: Runs = []
        huge: Runs = []
        try:
            for part in self._parts(key, runs):
                more_zero, more_huge = scan_zero_and_huge(files, part)
                zero += more_zero
                huge += more_huge
        except OSError:
            return np.zeros(len(pages), np.bool_), None
        return _in_runs(pages, zero), _in_runs(pages, huge)


def _merge(ranges: list[AddressRange]) -> Runs:
    runs: list[list[int]] = []
    for one in ranges:
        first, end = one.start_address // PAGE_BYTES, one.end_address // PAGE_BYTES
        if runs and first - runs[-1][1] <= GAP_PAGES:
            runs[-1][1] = end
        else:
            runs.append([first, end])
    return [(first, end - first) for first, end in runs]


def _resident(files: ProcessFiles) -> list[AddressRange]:
    """Return only mappings with pages; dearer, so only for processes that reserve much."""
    return [
        AddressRange(
            start_address=one.start_address,
            end_address=one.end_address,
            permissions=one.permissions,
            inode=one.inode,
            name=one.name,
        )
        for one in parse_smaps(files.read("smaps"))
        if one.permissions.endswith("p")
        and one.name not in NOT_MEMORY
        and not one.is_hugetlb
        and (one.account.rss_bytes or one.account.swap_bytes)
    ]


def _choose(raw: npt.NDArray[np.uint64], runs: Runs) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Return the numbers and words of anonymous pages, present or swapped, among the words of runs."""
    kinds = raw >> np.uint64(KIND_SHIFT)
    at = np.flatnonzero((kinds == ANONYMOUS_KINDS[0]) | (kinds == ANONYMOUS_KINDS[1]))
    begins = np.concatenate(([0], np.cumsum([count for _, count in runs])))[:-1]
    shifts = np.array([first for first, _ in runs], np.int64) - begins
    pages = at + shifts[np.searchsorted(begins, at, side="right") - 1] if len(runs) else at
    return pages.astype(np.int64), raw[at]


def _within(pages: npt.NDArray[np.int64], ranges: list[AddressRange]) -> npt.NDArray[np.bool_]:
    """Tell which pages lie in one of these ranges: runs span shared mappings and the kernel's own, too."""
    starts = np.array([one.start_address // PAGE_BYTES for one in ranges], np.int64)
    ends = np.array([one.end_address // PAGE_BYTES for one in ranges], np.int64)
    if not len(starts):
        return np.zeros(len(pages), np.bool_)
    at = np.searchsorted(starts, pages, side="right") - 1
    inside: npt.NDArray[np.bool_] = (at >= 0) & (pages < ends[np.maximum(at, 0)])
    return inside


def _in_runs(pages: npt.NDArray[np.int64], runs: Runs) -> npt.NDArray[np.bool_]:
    inside = np.zeros(len(pages), np.bool_)
    for first, end in runs:
        low, high = np.searchsorted(pages, (first, end))
        inside[low:high] = True
    return inside
