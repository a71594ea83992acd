"""Words within code objects: since 3.11 the interpreter writes inline caches into the instructions that it runs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from airmem.cpython.learn import slot_addresses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.cpython.types import Flags, TypeTable
    from airmem.model.contents import PageBlock

CODE = "code"
SIZE_WORD = 2
"""ob_size, after the reference count and the type: for code objects since 3.11 the number of instruction units."""

LONGEST_BYTES = 1 << 20
"""No function has more instructions than that; what claims to is something else."""


class CodeRanges:
    """Where the code objects of the last blocks lie; blocks ascend, and code that begins in one may end in the next."""

    def __init__(self, table: TypeTable) -> None:
        found = [number for number, one in enumerate(table.types) if one.name == CODE and one.is_static]
        self._number = found[0] if len(found) == 1 and table.itemsize_bytes[found[0]] else -1
        self._basicsize_bytes = int(table.basicsize_bytes[self._number]) if self._number >= 0 else 0
        self._itemsize_bytes = int(table.itemsize_bytes[self._number]) if self._number >= 0 else 0
        self._starts = np.zeros(0, np.int64)
        self._ends = np.zeros(0, np.int64)

    def add(self, block: PageBlock, slots: npt.NDArray[np.int64], numbers: npt.NDArray[np.int32]) -> None:
        """Take the code objects among the objects of a block; of those before keep what may reach into it."""
        if self._number < 0:
            return
        chosen = slots[numbers == self._number]
        starts = slot_addresses(block.pages, chosen)
        counts = block.words.take(2 * chosen + SIZE_WORD, mode="clip").astype(np.int64)
        ends = starts + self._basicsize_bytes + counts * self._itemsize_bytes
        is_sane = (counts >= 0) & (ends - starts < LONGEST_BYTES)
        self._starts = np.concatenate((self._starts[-1:], starts[is_sane]))
        self._ends = np.concatenate((self._ends[-1:], ends[is_sane]))

    def contain(self, addresses: npt.NDArray[np.int64]) -> Flags:
        """Tell which addresses lie in a code object."""
        if not len(self._starts):
            return np.zeros(len(addresses), np.bool_)
        at = np.searchsorted(self._starts, addresses, side="right") - 1
        inside: Flags = (at >= 0) & (addresses < self._ends[np.maximum(at, 0)])
        return inside
