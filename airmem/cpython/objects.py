"""Live objects in a block of pages."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from airmem.cpython.layout import COUNT_FLAGS, COUNT_LIMIT, SLOT_BYTES
from airmem.cpython.types import TypeTable, Words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

Slots: TypeAlias = "npt.NDArray[np.int64]"
"""Positions of 16-byte slots in a block of pages, ascending: slot s begins with word 2 * s."""

ONE = np.uint64(1)
MOST = np.uint64(COUNT_LIMIT - 1)
NOT_FLAGS = np.uint64(~COUNT_FLAGS & (1 << 64) - 1)


def scan_objects(table: TypeTable, words: Words) -> tuple[Slots, npt.NDArray[np.int32]]:
    """Return the slots of a block that hold live objects, and the number of each one's type.

    A live object has a reference count from 1 to 2**32 - 1, then a pointer to its type. A freed one has count 0, or a
    pointer of a free list in its place. Where the program and its heap lie below 4 GiB, a small pointer followed by a
    type is no object, but two items of a tuple. A tuple's size followed by a type as its first item looks the same: a
    slot right after an object that is longer than a slot is none.
    """
    counts = words[0::2]
    if table.has_count_flags:
        counts = counts & NOT_FLAGS
    slots = np.flatnonzero(counts - ONE < MOST)
    at, numbers = table.pick(words.take(slots * 2 + 1))
    slots = slots.take(at)
    begin, end = table.low_addresses
    if end > begin:
        pointers = words.take(slots * 2) - np.uint64(begin) < np.uint64(end - begin)
        if pointers.any():
            slots, numbers = slots[~pointers], numbers[~pointers]
    close = np.flatnonzero(slots[1:] - slots[:-1] == 1)
    inside = close[table.basicsize_bytes.take(numbers.take(close)) > SLOT_BYTES] + 1
    if len(inside):
        slots, numbers = np.delete(slots, inside), np.delete(numbers, inside)
    return slots, numbers
