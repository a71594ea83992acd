"""Anonymous pages of processes as arrays: what fork shares and a write copies."""

from __future__ import annotations

from typing import Protocol

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ANONYMOUS_EXCLUSIVE = 1 << 34
"""Bit of /proc/kpageflags, an alias of PG_mappedtodisk for anonymous pages (PG_anon_exclusive, Linux 5.19): fork clears
it, a copy or a reuse by a write sets it. Probed before it is believed."""


@noun
class AddressRange:
    """One line of /proc/PID/maps. `inode` is 0 for what is not a file, so that a file *called* [heap] is none."""

    start_address: int
    end_address: int
    permissions: str
    inode: int
    name: str


@noun
class AnonymousPages:
    """The anonymous pages of one process, zero pages and hugetlb pages left out, swapped pages with them.

    `pages` are page numbers (address / page size), int64, ascending. `words` are their pagemap words
    (admin-guide/mm/pagemap.rst), uint64, with frame numbers of 0 where the kernel hides them. `huge` marks those that
    are mapped as part of a huge page, None where the kernel does not tell. `ranges` are its mappings.
    """

    pages: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint64]
    huge: npt.NDArray[np.bool_] | None
    ranges: tuple[AddressRange, ...]


class AnonymousTables(Protocol):
    """Hands out the anonymous pages of the processes of a tree by their position in it."""

    shows_frames: bool
    """Whether page frame numbers show."""

    def read(self, position: int) -> AnonymousPages | None:
        """Return the anonymous pages of a process, or None if its page table cannot be read."""

    def find_changed(
        self, position: int, pages: npt.NDArray[np.int64], frames: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_] | None:
        """Tell which pages of a process (ascending) are not mapped any more as when they were read: `frames` then.

        None when the process had no page fault since, and so cannot have copied any.
        """

    def find_exclusive(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_] | None:
        """Tell for each frame (ascending) whether it is exclusive to one address space; None where nothing tells.

        True: its process wrote it after its last fork, or never forked. False: it came from a fork and was not
        written since.
        """

    def is_trusted(self, shared: npt.NDArray[np.int64]) -> bool:
        """Whether what find_exclusive says is true here, probed on frames that two processes map (ascending)."""
