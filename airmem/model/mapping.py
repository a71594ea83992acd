"""A range of addresses of a process."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.memory import MemoryAccount


@noun
class Mapping:
    """One line of /proc/PID/smaps: a range of addresses with one origin, and its account.

    `start_address` and `end_address` in bytes; `inode` 0 for what is not a file, so that a file that is *called*
    `[heap]` can be told from the heap. `hugetlb` pages are in no RSS (VmFlags `ht`).
    """

    start_address: int
    end_address: int
    permissions: str
    inode: int
    name: str
    is_hugetlb: bool
    account: MemoryAccount

    @property
    def size_bytes(self) -> int:
        """The length of the range, resident or not."""
        return self.end_address - self.start_address
