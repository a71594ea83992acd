"""Type objects, and the table that tells pointers to them from other words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from airmem.cpython.layout import HAVE_GC, HEAP_TYPE, LONG_SUBCLASS, TYPE_SUBCLASS, UNICODE_SUBCLASS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

Words: TypeAlias = "npt.NDArray[np.uint64]"
Flags: TypeAlias = "npt.NDArray[np.bool_]"

MULTIPLIER = 0x9E3779B97F4A7C15
OTHER_MULTIPLIER = 0xC2B2AE3D27D4EB4F
"""Odd constants of multiplicative hashing (Knuth's golden ratio; a prime of xxHash)."""

SPARSE_BITS = 5
"""A table has about 32 places for each type, so that few collide."""

LEAST_BITS, MOST_BITS = 12, 18


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonType:
    """One type object of a process.

    `name` is tp_name: `module.Name` for types made in C, mostly the bare name for classes (names.TypeNames qualifies
    them). `flags` are Py_TPFLAGS_*. Text from a target: escape it before showing.
    """

    address_bytes: int
    metatype_address_bytes: int
    base_address_bytes: int
    name: str
    flags: int
    basicsize_bytes: int
    itemsize_bytes: int

    @property
    def is_gc(self) -> bool:
        """Whether its instances have a head of the garbage collector before them."""
        return bool(self.flags & HAVE_GC)

    @property
    def is_static(self) -> bool:
        """Whether it is part of a program or a library rather than made at run time: it has no such head itself."""
        return not self.flags & HEAP_TYPE

    @property
    def is_metatype(self) -> bool:
        """Whether its instances are types."""
        return bool(self.flags & TYPE_SUBCLASS)

    @property
    def is_str(self) -> bool:
        """Whether its instances are texts."""
        return bool(self.flags & UNICODE_SUBCLASS)

    @property
    def is_int(self) -> bool:
        """Whether its instances are integers."""
        return bool(self.flags & LONG_SUBCLASS)


class TypeTable:
    """All types of a process by number, and which words point to them.

    `types[number]` is a PythonType; the arrays `is_gc`, `is_static`, `is_metatype` (bool), `basicsize_bytes`,
    `itemsize_bytes` (int64) and `addresses` (uint64) go by the same number. `has_count_flags`: the upper half of
    reference counts holds flags (3.14 and later). `low_addresses`: where the process has memory (begin, end) below
    4 GiB, so that such a word is rather a pointer than a reference count; empty where programs are loaded anywhere.
    """

    def __init__(
        self,
        types: Sequence[PythonType],
        *,
        type_address_bytes: int,
        has_count_flags: bool,
        low_addresses: tuple[int, int] = (0, 0),
    ) -> None:
        self.low_addresses = low_addresses
        self.types = tuple(sorted(types, key=lambda one: one.address_bytes))
        self.type_address_bytes = type_address_bytes
        self.has_count_flags = has_count_flags
        self.addresses = np.array([one.address_bytes for one in self.types], np.uint64)
        self.is_gc = np.array([one.is_gc for one in self.types], np.bool_)
        self.is_static = np.array([one.is_static for one in self.types], np.bool_)
        self.is_metatype = np.array([one.is_metatype for one in self.types], np.bool_)
        self.basicsize_bytes = np.array([one.basicsize_bytes for one in self.types], np.int64)
        self.itemsize_bytes = np.array([one.itemsize_bytes for one in self.types], np.int64)
        bits = min(MOST_BITS, max(LEAST_BITS, len(self.types).bit_length() + SPARSE_BITS))
        numbers = np.arange(len(self.types), dtype=np.int32)
        self._first = HashTable(self.addresses, numbers, bits, MULTIPLIER)
        left = self._first.left_out
        self._second = HashTable(self.addresses[left], numbers[left], bits, OTHER_MULTIPLIER) if len(left) else None
        rest = left[self._second.left_out] if self._second else left
        self._rest = self.addresses[rest], numbers[rest]

    def __len__(self) -> int:
        return len(self.types)

    def number(self, address_bytes: int) -> int | None:
        """Return the number of the type at an address, None if there is none."""
        at = int(np.searchsorted(self.addresses, np.uint64(address_bytes)))
        return at if at < len(self.types) and int(self.addresses[at]) == address_bytes else None

    def find(self, words: Words) -> tuple[Flags, npt.NDArray[np.int32]]:
        """Return which words (any shape) are addresses of types, and their numbers; 0 where they are not."""
        found = np.zeros(words.size, np.bool_)
        numbers = np.zeros(words.size, np.int32)
        at, numbers_of = self.pick(words.reshape(-1))
        found[at], numbers[at] = True, numbers_of
        return found.reshape(words.shape), numbers.reshape(words.shape)

    def pick(self, words: Words) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return the positions of those words of a row that are addresses of types, ascending, and their numbers.

        This is the innermost loop of all: a look at one word takes four steps, twice where types collided.
        """
        found, places = self._first.find(words)
        if self._second is None:
            at = np.flatnonzero(found)
            return at, self._first.numbers.take(places.take(at))
        also, others = self._second.find(words)
        at = np.flatnonzero(found | also)
        first = self._first.numbers.take(places.take(at))
        numbers = np.where(found.take(at), first, self._second.numbers.take(others.take(at)))
        return (at, numbers) if not len(self._rest[0]) else self._add_rest(words, at, numbers)

    def _add_rest(
        self, words: Words, at: npt.NDArray[np.int64], numbers: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Add the words that are types for which neither table had room."""
        addresses, numbers_of = self._rest
        place = np.minimum(np.searchsorted(addresses, words), len(addresses) - 1)
        more = np.flatnonzero(addresses.take(place) == words)
        both = np.concatenate([at, more])
        order = np.argsort(both, kind="stable")
        return both[order], np.concatenate([numbers, numbers_of.take(place.take(more))])[order]


class HashTable:
    """Maps some 64-bit words to numbers, in four passes over the array looked up. Words that collide are left out."""

    def __init__(self, words: Words, numbers: npt.NDArray[np.int32], bits: int, multiplier: int) -> None:
        self._multiplier = np.uint64(multiplier)
        self._shift = np.uint64(64 - bits)
        self._words = np.zeros(1 << bits, np.uint64)
        self._words[0] = 1  # 0 belongs at place 0 and 1 elsewhere: no empty place equals what is looked up there
        self.numbers = np.zeros(1 << bits, np.int32)
        """The number of the word at each place; 0 at empty ones."""

        places = self._places(words)
        _, firsts = np.unique(places, return_index=True)
        self._words[places[firsts]] = words[firsts]
        self.numbers[places[firsts]] = numbers[firsts]
        self.left_out = np.setdiff1d(np.arange(len(words)), firsts)
        """Positions of the words that found their place taken."""

    def find(self, words: Words) -> tuple[Flags, npt.NDArray[np.int64]]:
        """Return which words are in the table, and the place of each."""
        places = self._places(words)
        return self._words.take(places) == words, places

    def _places(self, words: Words) -> npt.NDArray[np.int64]:
        places: npt.NDArray[np.int64] = ((words * self._multiplier) >> self._shift).view(np.int64)
        return places
