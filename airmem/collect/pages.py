"""Page tables of a tree, read one process at a time. The only module of this room that needs numpy."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from itertools import pairwise

import numpy as np

from airmem.collect.page_runs import blank, cover_ranges, cut_runs, pieces_of, subtract_runs
from airmem.kernel.maps import parse_maps_ranges
from airmem.kernel.smaps import parse_smaps, parse_smaps_rollup, sum_mappings
from airmem.model.memory import MemoryAccount
from airmem.model.pages import PageTable
from airmem.units import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy.typing as npt

    from airmem.collect.page_runs import Runs
    from airmem.kernel.frames import OwnPages
    from airmem.kernel.source import ProcessFiles, Source
    from airmem.model.snapshot import ProcessSnapshot

SPARSE_PAGES = 1 << 22
"""From 16 GiB (of 4 KiB pages) of addresses on, mappings without resident pages are looked up and left out."""

MOST_PAGES = 1 << 26
"""More than 256 GiB of addresses in mappings with resident pages are not read: 512 MiB of words."""

AHEAD_PROCESSES = 16
AHEAD_WORDS = 1 << 22
"""So many siblings are read in one go, and at most so many words of them (32 MiB) are held."""

COUNT_GAP = 64
"""Page frames this close are read from kpagecount in one call."""

COUNT_BATCH = 1 << 12
"""Stretches of kpagecount are read so many at a time, to stay small."""

Words: TypeAlias = "npt.NDArray[np.uint64]"


class LivePageTables:
    """The page tables of the processes of a tree (see model.page_tables.PageTables)."""

    def __init__(self, reader: Source, processes: tuple[ProcessSnapshot, ...], own: OwnPages) -> None:
        self._reader = reader
        self._processes = processes
        self._looked_at: set[int] = set()
        self.zero_frames = own.zero_frames
        self._uncounted = own.uncounted
        self._spares: list[Words] = []  # reused: fresh memory for each table would cost as much as comparing it
        self._ahead: dict[int, Words] = {}

    def read(self, position: int, like: PageTable | None) -> PageTable | None:
        """Return the page table of the process at this position, or None if it cannot be read."""
        snapshot = self._processes[position]
        if not _has_table(snapshot):
            return None
        is_first = position not in self._looked_at
        self._looked_at.add(position)
        if like is not None:
            words = self._words_like(like, position)
            if words is not None:
                return PageTable(runs=like.runs, words=words, is_complete=False, account=snapshot.account)
            is_first = False  # it has ended, or called exec: then it is another one to look at
        with suppress(OSError), self._reader.process(snapshot.process.pid) as files:
            return _read_whole_table(files, snapshot, self._uncounted, is_first)
        return None

    def _words_like(self, like: PageTable, position: int) -> Words | None:
        """Return the words of a process over the runs of its parent's table, or None if they cannot be read."""
        if position not in self._ahead:
            self._read_ahead(like, self._with_siblings(position, len(like.words)))
        return self._ahead.pop(position, None)

    def _with_siblings(self, position: int, word_count: int) -> list[int]:
        """Return a position and those after it of processes with the same parent, as many as are read in one go."""
        parent = self._processes[position].process.parent_pid
        most = min(AHEAD_PROCESSES, AHEAD_WORDS // max(1, word_count)) if self._reader.is_live else 1
        found = [position]
        for following in range(position + 1, min(position + most, len(self._processes))):
            if self._processes[following].process.parent_pid != parent:
                break
            if _has_table(self._processes[following]):
                found.append(following)
        return found

    def _read_ahead(self, like: PageTable, positions: list[int]) -> None:
        """Keep the words of several processes over the runs of their parent's table; not of those that have gone."""
        self._ahead = {}
        with ExitStack() as stack:
            opened: dict[int, ProcessFiles] = {}
            for position in positions:
                with suppress(OSError):
                    files = self._reader.process(self._processes[position].process.pid)
                    opened[position] = stack.enter_context(files)
                    self._ahead[position] = self._take_spare(len(like.words))
            filled = 0
            for part in cut_runs(like.runs) if len(opened) > 1 else [like.runs]:
                end = filled + sum(count for _, count in part)
                for position, files in opened.items():
                    self._fill(files, part, position, filled, end)
                filled = end

    def _fill(self, files: ProcessFiles, part: Runs, position: int, begin: int, end: int) -> None:
        words = self._ahead.get(position)
        if words is None:
            return
        try:
            files.read_words("pagemap", part, memoryview(words[begin:end].view(np.uint8)))  # type: ignore[arg-type]
        except OSError:  # it has ended, or may not be read
            del self._ahead[position]

    def complete(self, position: int, table: PageTable) -> PageTable | None:
        """Return a table of this process with what its own maps have beyond it, or None if they cannot be read."""
        if table.account.hugetlb_bytes:
            return self.read(position, None)  # only a look at smaps tells hugetlb pages from others
        with suppress(OSError), self._reader.process(self._processes[position].process.pid) as files:
            return _extend(files, table, self._uncounted)
        return None

    def release(self, table: PageTable) -> None:
        """Take a table back: its words may be overwritten by the next one that is read."""
        self._spares.append(table.words)

    def _take_spare(self, count: int) -> Words:
        spare = self._spares.pop() if self._spares else None
        return spare if spare is not None and len(spare) == count else np.empty(count, np.uint64)

    def mapping_counts(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        """Return how often each page frame is mapped in the whole system, or None without /proc/kpagecount."""
        with suppress(OSError):
            return read_by_frame(self._reader, "/proc/kpagecount", frames).astype(np.int64)
        return None


def read_by_frame(reader: Source, path: str, frames: npt.NDArray[np.int64]) -> Words:
    """Return the word of each frame (ascending) in a file with a word for each page frame. Errors: OSError."""
    found = np.zeros(len(frames), np.uint64)
    stretches = _close_runs(frames)
    for batch in range(0, len(stretches), COUNT_BATCH):
        part = stretches[batch : batch + COUNT_BATCH]
        runs = [(int(frames[begin]), int(frames[end - 1] - frames[begin]) + 1) for begin, end in part]
        words = np.zeros(sum(count for _, count in runs), np.uint64)
        reader.read_words(path, runs, memoryview(words.view(np.uint8)))  # type: ignore[arg-type]
        offset = 0
        for (begin, end), (first, count) in zip(part, runs, strict=True):
            found[begin:end] = words[offset + frames[begin:end] - first]
            offset += count
    return found


def _has_table(snapshot: ProcessSnapshot) -> bool:
    return snapshot.account.rss_bytes is not None and snapshot.depth in ("rollup", "mappings")


def _read_words(files: ProcessFiles, runs: Runs) -> Words:
    words = np.empty(sum(count for _, count in runs), np.uint64)
    files.read_words("pagemap", runs, memoryview(words.view(np.uint8)))  # type: ignore[arg-type]
    return words


def _read_whole_table(
    files: ProcessFiles, snapshot: ProcessSnapshot, uncounted: tuple[bytes, ...], is_first: bool
) -> PageTable | None:
    """Read a process by its own maps; where it is not the first look, with an account read right before."""
    if snapshot.process.state in "ZXx":
        return None
    known = snapshot.account if is_first and snapshot.depth == "rollup" else None
    account, ranges = _account_and_ranges(files, uncounted, known)
    counted = [(start, end) for start, end, is_counted in ranges if is_counted]
    runs = cover_ranges(counted)
    if sum(count for _, count in runs) > MOST_PAGES:
        return None
    words = _read_words(files, runs)
    for start, end, is_counted in ranges:
        if not is_counted:
            blank(words, runs, start // PAGE_BYTES, end // PAGE_BYTES)
    return PageTable(runs=runs, words=words, is_complete=True, account=account)


def _extend(files: ProcessFiles, table: PageTable, uncounted: tuple[bytes, ...]) -> PageTable:
    """Return a table with the words of those ranges of the process that it lacks."""
    ranges = parse_maps_ranges(files.read("maps"), uncounted)
    own = cover_ranges([(start, end) for start, end, is_counted in ranges if is_counted])
    extra = subtract_runs(own, table.runs)
    more = _read_words(files, extra)
    pieces = {first: (count, words) for (first, count), words in pieces_of(table.runs, table.words)}
    pieces.update({first: (count, words) for (first, count), words in pieces_of(extra, more)})
    runs = tuple((first, pieces[first][0]) for first in sorted(pieces))
    words = np.concatenate([pieces[first][1] for first, _ in runs])
    for start, end, is_counted in ranges:
        if not is_counted:
            blank(words, runs, start // PAGE_BYTES, end // PAGE_BYTES)
    return PageTable(runs=runs, words=words, is_complete=True, account=table.account)


def _account_and_ranges(
    files: ProcessFiles, uncounted: tuple[bytes, ...], known: MemoryAccount | None
) -> tuple[MemoryAccount, list[tuple[int, int, bool]]]:
    try:
        account = known or parse_smaps_rollup(files.read("smaps_rollup"))
    except FileNotFoundError:
        account = MemoryAccount()
    ranges = parse_maps_ranges(files.read("maps"), uncounted)
    pages = sum(end - start for start, end, _ in ranges) // PAGE_BYTES
    if account.rss_bytes is not None and not account.hugetlb_bytes and pages < SPARSE_PAGES:
        return account, ranges
    return _by_smaps(files, account)


def _by_smaps(files: ProcessFiles, account: MemoryAccount) -> tuple[MemoryAccount, list[tuple[int, int, bool]]]:
    """Return only mappings with resident pages, hugetlb ones as not counted; dearer, so only when it matters."""
    mappings = parse_smaps(files.read("smaps"))
    ranges = [
        (mapping.start_address, mapping.end_address, not mapping.is_hugetlb)
        for mapping in mappings
        if mapping.account.rss_bytes or mapping.is_hugetlb
    ]
    return (account if account.rss_bytes is not None else sum_mappings(mappings)), ranges


def _close_runs(frames: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return (begin, end) of stretches of ascending frames without a wide gap."""
    cuts = np.flatnonzero(np.diff(frames) > COUNT_GAP) + 1
    edges = [0, *cuts.tolist(), len(frames)]
    return [(begin, end) for begin, end in pairwise(edges) if begin < end]
