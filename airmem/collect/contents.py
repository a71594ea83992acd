"""Contents of the memory of a tree's processes, read at a bounded share of the time. Needs numpy."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from airmem.collect import clock
from airmem.collect.processes import read_process
from airmem.errors import Malformed, NotPermitted, ProcessGone
from airmem.kernel.stat import parse_fault_count
from airmem.model.contents import PageBlock, ProcessKey
from airmem.units import MIB, PAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from airmem.kernel.source import OpenMemory, Source

BLOCK_PAGES = MIB // PAGE_BYTES
"""Pages of one block: small enough to stay in the processor's cache while it is looked at."""

WORDS_PER_PAGE = PAGE_BYTES // 8

DUTY_RATIO = 0.05
"""At most this share of the time is spent reading memory of a target at work. Each page takes its mmap lock for an
instant: one that maps and unmaps all the time stands nearly still meanwhile, so it loses about this share of its
throughput."""

RESTING_DUTY_RATIO = 0.5
"""The same while the processes that are read have no page faults: they map nothing that the lock would hold up."""

LOOK_SECONDS = 0.01
"""After so much time spent reading the page faults are looked at again."""

LEAST_PAUSE_SECONDS = 0.001


class LiveContents:
    """Reads the memory of processes (see model.contents.Contents); close it when done."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._open: dict[ProcessKey, OpenMemory] = {}
        self._began_seconds = clock.monotonic_seconds()
        self._busy_seconds = 0.0
        self._owed_seconds = 0.0
        self._looked_seconds = -LOOK_SECONDS
        self._fault_counts: dict[ProcessKey, int] = {}
        self._is_at_work = True
        self.duty_ratio = DUTY_RATIO
        """The largest share of the time that was allowed for reading so far."""

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
        found = self._memory(key).read(address_bytes, size_bytes)
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
        self._rest()
        began_seconds = clock.cpu_seconds()  # not of the wall: waiting for a core disturbs nobody
        target = memoryview(words.view(np.uint8))[: len(pages) * PAGE_BYTES]  # type: ignore[arg-type]
        unread = memory.fill(_runs(pages), target)
        spent_seconds = clock.cpu_seconds() - began_seconds
        self._busy_seconds += spent_seconds
        ratio = DUTY_RATIO if self._is_at_work else RESTING_DUTY_RATIO
        self.duty_ratio = max(self.duty_ratio, ratio)
        self._owed_seconds += spent_seconds / ratio
        if unread is None:
            raise _gone(key)
        self.read_bytes += len(target)
        is_read = np.ones(len(pages), np.bool_)
        if unread:
            is_read[np.searchsorted(pages, unread)] = False
        return is_read

    def _memory(self, key: ProcessKey) -> OpenMemory:
        memory = self._open.get(key)
        if memory is None:
            memory = self._open[key] = _open_memory(self._source, key)
        return memory

    def _look_at_faults(self) -> None:
        """See whether one of the processes whose memory is open has had page faults since the last look."""
        self._looked_seconds = self._busy_seconds
        counts = {}
        for key in self._open:
            with suppress(OSError, Malformed), self._source.process(key[0]) as files:
                counts[key] = parse_fault_count(files.read("stat"))
        self._is_at_work = counts != self._fault_counts
        self._fault_counts = counts

    def _rest(self) -> None:
        """Wait until reading has taken no more than its share of the time."""
        if not self._source.is_live:
            return
        elapsed_seconds = clock.monotonic_seconds() - self._began_seconds
        if self._busy_seconds - self._looked_seconds >= LOOK_SECONDS:
            self._look_at_faults()
        pause_seconds = self._owed_seconds - elapsed_seconds
        if pause_seconds > LEAST_PAUSE_SECONDS:
            clock.pause_seconds(pause_seconds)


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
