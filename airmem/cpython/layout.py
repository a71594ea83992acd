"""Where things lie in CPython's objects, in bytes: 64-bit builds with a GIL.

Sources: Include/object.h, Include/cpython/object.h, Include/internal/pycore_gc.h and pycore_dict.h of 3.10 to 3.15.
What differs between versions is probed on the target itself (probe.py, names.py, collector.py), never told from its
version; what is here is the same in all of them, and probe.py refuses a target where it is not.
"""

from __future__ import annotations

from airmem.units import PAGE_BYTES

WORD_BYTES = 8
SLOT_BYTES = 16
"""Every object begins at a multiple of it: pymalloc's alignment, and malloc's."""

SLOTS_PER_PAGE = PAGE_BYTES // SLOT_BYTES
PAGE_SHIFT = SLOTS_PER_PAGE.bit_length() - 1
"""Slot s of a block lies on its page s >> PAGE_SHIFT: numpy shifts several times as fast as it divides."""

TYPE_OFFSET = 8
"""ob_type, after ob_refcnt."""

SIZE_OFFSET = 16
"""ob_size of objects of variable size; of int since 3.12, lv_tag."""

GC_HEAD_BYTES = 16
"""PyGC_Head (next, prev) lies right before an object whose type has HAVE_GC, in every version."""

GC_POINTER_MASK = ~3 & (1 << 64) - 1
"""The two lowest bits of next and prev are flags of a collection."""

TP_NAME = 24
TP_BASICSIZE = 32
TP_ITEMSIZE = 40
TP_FLAGS = 168
TP_BASE = 256
TP_DICT = 264
TYPE_BYTES = 416
"""How much of a type object is read at once: all of the above."""

HEAP_TYPE = 1 << 9
READY = 1 << 12
HAVE_GC = 1 << 14
LONG_SUBCLASS = 1 << 24
UNICODE_SUBCLASS = 1 << 28
TYPE_SUBCLASS = 1 << 31

COUNT_LIMIT = 1 << 32
"""A live object's reference count is from 1 to below it; 3.12 and later mark immortal ones by 2**32 - 1 or 3 << 30."""

LEAST_IMMORTAL = 3 << 30
"""The lowest count of immortal objects; no other object has so many references."""

COUNT_FLAGS = 0xFFFF << 48
"""Flags above the count since 3.14: statically allocated, immortal."""

LOWEST_ADDRESS = 1 << 16
HIGHEST_ADDRESS = 1 << 47
"""User space without five-level page tables, which CPython does not ask for."""
