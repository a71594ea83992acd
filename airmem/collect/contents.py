"""Contents of the memory of a tree's processes, read at a bounded share of the time. Needs numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from airmem.collect.pacing import Pace
from airmem.collect.processes import read_process
from airmem.errors import Malformed, NotPermitted, ProcessGone
from airmem.model.contents import PageBlock, ProcessKey
from airmem.units import MIB, PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from airmem.kernel.source import OpenMemory, Source

BLOCK_PAGES = MIB // PAGE_BYTES
"""Pages of one block: small enough to stay in the processor's cache while it is looked at."""

WORDS_PER_PAGE = PAGE_BYTES // 8

UNIT_PAGES = 16
"""Of a process at work so many pages are read before a pause, 64 KiB in some 30 us, and each by a call of its own: in a
longer read the kernel gives up the processor where it looks for the next page, and holds the lock for as long as others
run (cond_resched in __get_user_pages, mm/gup.c, where the kernel is not preemptible)."""

SMALL_READ_SECONDS = 2e-6
"""What a read of a few bytes is taken to cost: the clock would cost more."""


class LiveContents:
    """Reads the memory of processes (see model.contents.Contents); close it when done."""

    def __init__(self, source: Source, pace: Pace | None = None) -> None:
        self._source = source
        self._open: dict[ProcessKey, OpenMemory] = {}
        self.pace = pace or Pace(source)
        self.read_bytes = 0
        """How much of pages was read so far, bytes."""

    def __enter__(self) -> LiveContents:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for memory in self._open.values():
            memory.close()
        self._open = {}

    def hold(self, key: ProcessKey) -> None:
        """Open a process's memory, so that what follows is of the program that it runs now.

        Errors: ProcessGone; NotPermitted where the kernel refuses, without a remedy yet; OSError ENODATA of a capture
        without contents.
        """
        self._memory(key)

    def read(self, key: ProcessKey, address_bytes: int, size_bytes: int) -> bytes:
        """Return the bytes at an address: fewer where they end at an unreadable page (see model.contents.Memory)."""
        memory = self._memory(key)
        self.pace.rest(key)
        found = memory.read(address_bytes, size_bytes)
        self.pace.spend(key, SMALL_READ_SECONDS)
        if found is None:
            raise _gone(key)
        return found

    def blocks(self, key: ProcessKey, pages: npt.NDArray[np.int64]) -> Iterator[PageBlock]:
        """Return the contents of these pages, ascending, block by block (see model.contents.PageBlocks)."""
        buffer = np.empty(BLOCK_PAGES * WORDS_PER_PAGE, np.uint64)
        for first in range(0, len(pages), BLOCK_PAGES):
            some = pages[first : first + BLOCK_PAGES]
            words = buffer[: len(some) * WORDS_PER_PAGE]
            yield PageBlock(pages=some, words=words, is_read=self.fill(key, some, words))

    def fill(
        self, key: ProcessKey, pages: npt.NDArray[np.int64], words: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.bool_]:
        """Read these pages, ascending, into the first words of a buffer; return which could be read."""
        memory = self._memory(key)
        target = memoryview(words.view(np.uint8))[: len(pages) * PAGE_BYTES]  # type: ignore[arg-type]
        is_read = np.ones(len(pages), np.bool_)
        first = 0
        while first < len(pages):
            is_at_work = self.pace.is_at_work(key)
            last = first + (UNIT_PAGES if is_at_work else BLOCK_PAGES)
            some = pages[first:last]
            runs = [(page, 1) for page in some.tolist()] if is_at_work else _runs(some)
            unread = self._fill_unit(key, memory, runs, target[first * PAGE_BYTES : last * PAGE_BYTES])
            if unread:
                is_read[first + np.searchsorted(some, unread)] = False
            first = last
        self.read_bytes += len(target)
        return is_read

    def is_at_work(self, key: ProcessKey) -> bool:
        """Whether a process has page faults (see model.contents.PageBlocks)."""
        return self.pace.is_at_work(key)

    def _fill_unit(
        self, key: ProcessKey, memory: OpenMemory, runs: list[tuple[int, int]], target: memoryview
    ) -> list[int]:
        """Read runs of pages when the process may be read; return those that cannot be. Errors: ProcessGone."""
        with self.pace.reading(key):
            unread = memory.fill(runs, target)
        if unread is None:
            raise _gone(key)
        return unread

    def _memory(self, key: ProcessKey) -> OpenMemory:
        memory = self._open.get(key)
        if memory is None:
            memory = self._open[key] = _open_memory(self._source, key)
        return memory


def _open_memory(source: Source, key: ProcessKey) -> OpenMemory:
    try:
        with source.process(key[0]) as files:
            memory = files.memory()
            try:
                is_same = read_process(files, with_arguments=False).start_ticks == key[1]
            except (OSError, Malformed):
                is_same = False
            if not is_same:
                memory.close()
                raise _gone(key)
            return memory
    except PermissionError as problem:
        raise NotPermitted(f"the kernel does not let airmem read the memory of process {key[0]}") from problem
    except (FileNotFoundError, ProcessLookupError) as problem:
        raise _gone(key) from problem


def _gone(key: ProcessKey) -> ProcessGone:
    return ProcessGone(
        f"process {key[0]} ended, or started another program, while its memory was read",
        "Look for its successor with: airmem ps",
    )


def _runs(pages: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return (first, count) of stretches without a hole."""
    if not len(pages):
        return []
    cuts = np.flatnonzero(np.diff(pages) != 1) + 1
    starts = np.concatenate(([0], cuts))
    counts = np.diff(np.append(starts, len(pages)))
    return list(zip(pages[starts].tolist(), counts.tolist(), strict=True))
