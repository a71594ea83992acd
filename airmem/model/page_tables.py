"""Where page tables come from."""

from __future__ import annotations

from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from airmem.model.pages import PageTable


class PageTables(Protocol):
    """Hands out page tables one process at a time, so that a tree need not fit into memory at once."""

    zero_frames: tuple[tuple[int, int], ...]
    """Frame numbers (first, count) of the zero page and the huge zero page: mapped, and in nobody's RSS."""

    def read(self, position: int, like: PageTable | None) -> PageTable | None:
        """Return the page table of the process at this position of the tree, or None if it cannot be read.

        With `like`, its parent's table, only those ranges are looked at: a forked process has mostly the same, and
        the caller can tell from the RSS whether that was all. Without, the process's own maps are read first, its
        account is read anew if this is not the first look at it, and words of pages that no RSS counts (hugetlb,
        [vvar]) are 0.
        """

    def complete(self, position: int, table: PageTable) -> PageTable | None:
        """Return a table of this process with what its own maps have beyond it, or None if they cannot be read."""

    def release(self, table: PageTable) -> None:
        """Take a table back: its words may be overwritten by the next one that is read."""

    def mapping_counts(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        """Return how often each page frame is mapped in the whole system, or None without /proc/kpagecount.

        `frames` ascend.
        """
