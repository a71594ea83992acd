"""Page tables as arrays: a page is a word in an array, never an object."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from airmem.model.memory import MemoryAccount

PRESENT = 1 << 63
SWAPPED = 1 << 62
FILE_OR_SHARED = 1 << 61
EXCLUSIVE = 1 << 56
FRAME_MASK = (1 << 55) - 1


@noun
class PageTable:
    """The page table of one process over runs of pages, as /proc/PID/pagemap words (admin-guide/mm/pagemap.rst).

    `runs` are (first page number, page count), ascending and apart from each other; `words` holds one uint64 per
    page, run after run. Beyond the runs the process may map more, unless `is_complete`. `account` is the kernel's
    own count of the same process, read next to it.
    """

    runs: tuple[tuple[int, int], ...]
    words: npt.NDArray[np.uint64]
    is_complete: bool
    account: MemoryAccount
