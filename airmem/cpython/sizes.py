"""How large objects are, apart from their type's basic size: items of tuples and bytes, digits of ints, text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from airmem.cpython.layout import PAGE_SHIFT, SLOTS_PER_PAGE
from airmem.cpython.types import TypeTable, Words
from airmem.model.contents import PageBlock

Slots = npt.NDArray[np.int64]
Sizes = npt.NDArray[np.int64]

SIZE_WORD = 2
"""ob_size (of str the length), in words after the object's beginning; of int since 3.12 lv_tag."""

STATE_WORD = 4
"""str's state, in the lower half of this word."""

STR_POINTER_BYTES = 8
"""PyUnicodeObject is a PyCompactUnicodeObject and one pointer; only subclasses and old forms have it."""

STR_UTF8_BYTES, OLD_STR_UTF8_BYTES = 16, 24
"""What PyCompactUnicodeObject has beyond PyASCIIObject: utf8_length and utf8; before 3.12 wstr_length, too."""

OLD_STR_BYTES = 80
"""sizeof(PyUnicodeObject) before 3.12, which removed wstr from str and made int's size a tag."""

KIND_SHIFT, KIND_MASK = np.uint64(2), np.uint64(7)
COMPACT, ASCII = np.uint64(1 << 5), np.uint64(1 << 6)
TAG_SHIFT = 3
"""Digits of an int since 3.12: lv_tag >> 3."""

NO_SIZES = ("generator", "coroutine", "async_generator", "frame")
"""Types with items but without ob_size: what they hold is a function's frame, whose size is elsewhere."""

MOST_ITEMS = 1 << 40
"""A larger size is none: the object was changing."""


class ItemSizes:
    """Tells what objects have beyond their basic size, in bytes, from the words of a block."""

    def __init__(self, table: TypeTable) -> None:
        self._table = table
        text = next((one for one in table.types if one.name == "str" and one.is_static and one.is_str), None)
        self._str_number = -1 if text is None else table.number(text.address_bytes)
        self._str_bytes = 0 if text is None else text.basicsize_bytes
        self._has_tags = 0 < self._str_bytes < OLD_STR_BYTES
        self._is_int = np.array([one.is_int for one in table.types], np.bool_)
        is_frame = np.array([one.is_static and one.name in NO_SIZES for one in table.types], np.bool_)
        self._has_items = (table.itemsize_bytes > 0) & ~is_frame
        if text is not None:
            self._has_items[self._str_number] = True

    def find(self, block: PageBlock, slots: Slots, numbers: npt.NDArray[np.int32]) -> tuple[Slots, Sizes]:
        """Return which of the objects of a block (positions in `slots`) have more than their basic size, and how much.

        Of str it may be negative: compact ones are smaller than the basic size, which their subclasses have. An object
        whose size lies on a page that is not in the block counts with its basic size.
        """
        words = block.words
        at = np.flatnonzero(self._has_items.take(numbers))
        place = slots.take(at)
        near_end = np.flatnonzero(place & (SLOTS_PER_PAGE - 1) >= SLOTS_PER_PAGE - STATE_WORD // 2)
        is_last = np.append(block.pages[1:] - block.pages[:-1] != 1, True)
        lost = near_end[is_last.take(place.take(near_end) >> PAGE_SHIFT)]
        if len(lost):
            at, place = np.delete(at, lost), np.delete(place, lost)
        numbers = numbers.take(at)
        first = place * 2
        counts = np.abs(words.take(first + SIZE_WORD).view(np.int64))
        if self._has_tags:
            tags = np.flatnonzero(self._is_int.take(numbers))
            counts[tags] >>= TAG_SHIFT
        counts[counts > MOST_ITEMS] = 0
        sizes = counts * self._table.itemsize_bytes.take(numbers)
        texts = np.flatnonzero(numbers == self._str_number)
        sizes[texts] = self._texts(words.take(first.take(texts) + STATE_WORD), counts.take(texts))
        return at, sizes

    def _texts(self, states: Words, lengths: Sizes) -> Sizes:
        """Return the bytes of compact texts beyond str's basic size."""
        compact_bytes = self._str_bytes - STR_POINTER_BYTES
        ascii_bytes = compact_bytes - (STR_UTF8_BYTES if self._has_tags else OLD_STR_UTF8_BYTES)
        kinds = ((states >> KIND_SHIFT) & KIND_MASK).astype(np.int64)
        headers = np.where(states & ASCII, ascii_bytes, compact_bytes)
        sizes = headers + kinds * (lengths + 1) - self._str_bytes
        return np.where(states & COMPACT, sizes, 0)
