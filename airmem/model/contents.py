"""Contents of memory, handed to the rooms that think: they ask by process and address and never open anything."""

from __future__ import annotations

from typing import Protocol

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    import numpy as np
    import numpy.typing as npt

ProcessKey: TypeAlias = tuple[int, int]
"""What identifies a process: (pid, start in clock ticks), as model.process.Process.key."""


class Memory(Protocol):
    """Looks up a few bytes of a process, following its pointers."""

    def read(self, key: ProcessKey, address_bytes: int, size_bytes: int) -> bytes:
        """Return the bytes at an address: fewer where they end at an unreadable page, none where nothing is mapped.

        Errors: ProcessGone when the process has ended, called exec, or its pid is somebody else's.
        """


@noun
class PageBlock:
    """Some pages of one process with their contents.

    `pages` (n,) int64 are page numbers (address / page size), ascending. `words` (n * words per page,) uint64 holds
    their contents in that order; it is a view of a buffer that the next block overwrites. `is_read` (n,) bool: a page
    that could not be read (unmapped meanwhile) is False, and its words are 0.
    """

    pages: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint64]
    is_read: npt.NDArray[np.bool_]


class PageBlocks(Protocol):
    """Streams pages of a process, one block of at most a MiB at a time, so that memory is bounded."""

    def blocks(self, key: ProcessKey, pages: npt.NDArray[np.int64]) -> Iterator[PageBlock]:
        """Return the contents of these pages, ascending, block by block, at a bounded share of the time.

        Errors: ProcessGone as Memory.read.
        """

    def fill(
        self, key: ProcessKey, pages: npt.NDArray[np.int64], words: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.bool_]:
        """Read these pages, ascending, into the first words of a buffer of one's own; return which could be read.

        Errors: ProcessGone as Memory.read.
        """

    def is_at_work(self, key: ProcessKey) -> bool:
        """Whether reading this process would hold it up, so that it is read little by little."""


class Contents(Memory, PageBlocks, Protocol):
    """Both, as collect hands them out."""
