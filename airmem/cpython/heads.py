"""Heads of the garbage collector: which objects it tracks.

PyGC_Head (next, prev) lies before each object whose type has HAVE_GC. Tracked objects form a doubly linked list, so an
object is tracked exactly when the neighbors of its head point back at it; a head that is merely not zero may be left
over. Sources: Include/internal/pycore_gc.h, Python/gc.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from airmem.cpython.layout import (
    COUNT_LIMIT,
    GC_HEAD_BYTES,
    GC_POINTER_MASK,
    PAGE_SHIFT,
    SLOT_BYTES,
    SLOTS_PER_PAGE,
    TYPE_OFFSET,
    WORD_BYTES,
)
from airmem.cpython.learn import TypeLearner, slot_addresses
from airmem.cpython.types import Flags, TypeTable, Words
from airmem.model.contents import Memory, PageBlock, ProcessKey
from airmem.units import PAGE_BYTES

Word = TypeVar("Word", np.uint64, np.int32)
POINTER_MASK = np.uint64(GC_POINTER_MASK)
FIRST_ROOM = 1 << 22
"""Heads for which there is room at first: 32 MiB of addresses. malloc maps that apart, the kernel fills it."""

STEP = 1 << 16
"""So many heads are looked up at once, to stay small."""

LONGEST_WALK = 1 << 20
"""Steps along one list through objects that no page block showed; beyond it the list is not one."""

OUTSIDE = -1
"""In place of the position of a neighbor that is not among the heads."""

WALKED = -1
"""In place of the type number of a head that was found by walking."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heads:
    """The heads of live objects of types with HAVE_GC of one process that may be tracked, by address ascending.

    `addresses` (n,) uint64 of the heads (the object lies 16 bytes on), `next` and `previous` (n,) uint64 without their
    flags, `numbers` (n,) int32 of their types in the TypeTable; WALKED for those that complete_heads added.
    """

    addresses: Words
    next: Words
    previous: Words
    numbers: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.addresses)

    def select(self, which: Flags) -> Heads:
        """Return some of them."""
        return Heads(
            addresses=self.addresses[which],
            next=self.next[which],
            previous=self.previous[which],
            numbers=self.numbers[which],
        )


class HeadList:
    """Collects heads while a process's pages go by, ascending; keeps nothing else of them."""

    def __init__(self, table: TypeTable) -> None:
        self._table = table
        self._addresses: _Column[np.uint64] = _Column(np.uint64)
        self._next: _Column[np.uint64] = _Column(np.uint64)
        self._previous: _Column[np.uint64] = _Column(np.uint64)
        self._numbers: _Column[np.int32] = _Column(np.int32)
        self._last_page = -1
        self._last_words = np.zeros(2, np.uint64)

    def add(self, block: PageBlock, slots: npt.NDArray[np.int64], numbers: npt.NDArray[np.int32]) -> None:
        """Take the heads of the objects that scan_objects found in a block.

        A head lies before its object, for the first slot of a page on the page before: in this block, at the end of
        the one before, or where nobody looks (then complete_heads finds it).
        """
        at = np.flatnonzero(self._table.is_gc.take(numbers))
        slots, numbers = slots.take(at), numbers.take(at)
        first = np.flatnonzero(slots & (SLOTS_PER_PAGE - 1) == 0)
        if len(first):
            is_apart = np.ones(len(block.pages), np.bool_)
            is_apart[1:] = np.diff(block.pages) != 1
            if slots[0] == 0 and block.pages[0] == self._last_page + 1:
                head = np.array([int(block.pages[0]) * PAGE_BYTES - GC_HEAD_BYTES], np.uint64)
                self._keep(head, self._last_words[:1].copy(), self._last_words[1:].copy(), numbers[:1])
            lost = first[is_apart.take(slots.take(first) >> PAGE_SHIFT)]
            slots, numbers = np.delete(slots, lost), np.delete(numbers, lost)
        addresses = (slot_addresses(block.pages, slots) - GC_HEAD_BYTES).view(np.uint64)
        self._keep(addresses, block.words.take(2 * slots - 2), block.words.take(2 * slots - 1), numbers)
        self._last_page = int(block.pages[-1])
        self._last_words = block.words[-2:].copy()

    def finish(self) -> Heads:
        """Return all heads; the list is empty afterwards."""
        return Heads(
            addresses=self._addresses.take(),
            next=self._next.take(),
            previous=self._previous.take(),
            numbers=self._numbers.take(),
        )

    def _keep(self, addresses: Words, following: Words, previous: Words, numbers: npt.NDArray[np.int32]) -> None:
        """Keep the heads that may be on a list: of an object that is not tracked the next pointer is 0."""
        following = following & POINTER_MASK
        kept = np.flatnonzero(following)
        if len(kept) != len(following):
            addresses, following = addresses.take(kept), following.take(kept)
            previous, numbers = previous.take(kept), numbers.take(kept)
        self._addresses.add(addresses)
        self._next.add(following)
        self._previous.add(previous & POINTER_MASK)
        self._numbers.add(numbers)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Links:
    """What check_lists found of each head: `is_tracked` (n,) bool; `next_at` (n,) int32: the position of the next head
    of its list, OUTSIDE where that is not among the heads (a sentinel, or an object that nobody saw)."""

    is_tracked: Flags
    next_at: npt.NDArray[np.int32]


def check_lists(heads: Heads) -> Links:
    """Return which heads are tracked: one of their two neighbors is a head too and points back."""
    count = len(heads)
    is_tracked = np.zeros(count, np.bool_)
    next_at = np.full(count, OUTSIDE, np.int32)
    for first in range(0, count, STEP):
        part = slice(first, first + STEP)
        own = heads.addresses[part]
        at, is_there = _look_up_near(heads.addresses, heads.next[part], first + 1)
        back = is_there & (heads.previous.take(at) == own)
        left = np.flatnonzero(~back)
        before, was_there = look_up(heads.addresses, heads.previous[part][left])
        back[left] = was_there & (heads.next.take(before) == own[left])
        is_tracked[part] = back
        next_at[part] = np.where(is_there, at, OUTSIDE)
    return Links(is_tracked=is_tracked, next_at=next_at)


def look_up(addresses: Words, wanted: Words) -> tuple[npt.NDArray[np.int64], Flags]:
    """Return where each wanted address stands among ascending ones, and whether it does; 0 where it does not."""
    if not len(addresses):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    at = np.searchsorted(addresses, wanted)
    np.minimum(at, len(addresses) - 1, out=at)
    is_there = addresses.take(at) == wanted
    return np.where(is_there, at, 0), is_there


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """Heads and their neighbors by position, 16 bytes each: `addresses` (n,) uint64, `next_at` and `previous_at` (n,)
    int32, OUTSIDE where the neighbor is not among them."""

    addresses: Words
    next_at: npt.NDArray[np.int32]
    previous_at: npt.NDArray[np.int32]


def make_chain(heads: Heads, links: Links) -> Chain:
    """Return what is needed to see whether another head's neighbor points back at it."""
    previous_at = np.full(len(heads), OUTSIDE, np.int32)
    for first in range(0, len(heads), STEP):
        part = slice(first, first + STEP)
        at, is_there = _look_up_near(heads.addresses, heads.previous[part], first - 1)
        previous_at[part] = np.where(is_there, at, OUTSIDE)
    return Chain(addresses=heads.addresses, next_at=links.next_at, previous_at=previous_at)


def _look_up_near(addresses: Words, wanted: Words, first: int) -> tuple[npt.NDArray[np.int64], Flags]:
    """Look up as look_up does; most are found where they are tried first, at positions from `first` on.

    Objects made one after the other lie one after the other, and follow each other in the list.
    """
    at = np.clip(np.arange(first, first + len(wanted)), 0, len(addresses) - 1)
    is_there = addresses.take(at) == wanted
    left = np.flatnonzero(~is_there)
    at[left], is_there[left] = look_up(addresses, wanted[left])
    return at, is_there


def complete_heads(memory: Memory, key: ProcessKey, learner: TypeLearner, heads: Heads, links: Links) -> Heads:
    """Return the heads with those objects that the lists lead to and no block showed.

    Where a list leaves the known heads, the object there is read and followed, until the list is back among them or at
    its sentinel in the interpreter's state. Objects of types that lie in no page read (static ones that were never
    written) come in here; without them one missing link would hide a whole list. The learner may know more types
    afterwards. Returns `heads` itself when nothing is missing.
    """
    walker = _Walker(memory, key, learner, heads)
    ends = heads.next[links.is_tracked & (links.next_at == OUTSIDE)]
    starts = _unknown_previous(heads, links)
    for address in np.unique(ends).tolist():
        walker.follow(address, 0)
    for address in np.unique(starts).tolist():
        walker.follow(address, 1)
    if not walker.found:
        return heads
    added = sorted(walker.found.items())
    addresses = np.array([one for one, _ in added], np.uint64)
    at = np.searchsorted(
        heads.addresses, addresses
    )  # inserted one array after the other: sorting all takes thrice the room
    return Heads(
        addresses=np.insert(heads.addresses, at, addresses),
        next=np.insert(heads.next, at, np.array([pair[0] for _, pair in added], np.uint64)),
        previous=np.insert(heads.previous, at, np.array([pair[1] for _, pair in added], np.uint64)),
        numbers=np.insert(heads.numbers, at, np.int32(WALKED)),
    )


def _unknown_previous(heads: Heads, links: Links) -> Words:
    """Return the previous pointers of tracked heads that lead to none of the heads."""
    found = [np.empty(0, np.uint64)]
    for first in range(0, len(heads), STEP):
        part = slice(first, first + STEP)
        is_there = look_up(heads.addresses, heads.previous[part])[1]
        found.append(heads.previous[part][links.is_tracked[part] & ~is_there])
    return np.concatenate(found)


class _Walker:
    """Follows lists through objects that are not among the heads."""

    def __init__(self, memory: Memory, key: ProcessKey, learner: TypeLearner, heads: Heads) -> None:
        self._memory = memory
        self._key = key
        self._learner = learner
        self._heads = heads
        self.found: dict[int, tuple[int, int]] = {}
        """Head address -> (next, prev)."""

        self._no_objects: set[int] = set()

    def follow(self, address: int, direction: int) -> None:
        """Follow next (0) or prev (1) pointers from an address that is no known head."""
        for _ in range(LONGEST_WALK):
            if not address or address in self.found or address in self._no_objects or self._is_known(address):
                return
            links = self._read(address)
            if links is None:
                self._no_objects.add(address)
                return
            self.found[address] = links
            address = links[direction]

    def _is_known(self, address: int) -> bool:
        at = int(np.searchsorted(self._heads.addresses, np.uint64(address)))
        return at < len(self._heads) and int(self._heads.addresses[at]) == address

    def _read(self, address: int) -> tuple[int, int] | None:
        """Return the links of the head at an address, None if no live object of a type with HAVE_GC follows it."""
        raw = self._memory.read(self._key, address, GC_HEAD_BYTES + SLOT_BYTES)
        if len(raw) < GC_HEAD_BYTES + SLOT_BYTES:
            return None
        following, previous, count, kind = (
            int.from_bytes(raw[at : at + WORD_BYTES], "little") for at in range(0, len(raw), TYPE_OFFSET)
        )
        one = self._learner.get(kind)
        if one is None or not one.is_gc or not count & (COUNT_LIMIT - 1):
            return None
        return following & GC_POINTER_MASK, previous & GC_POINTER_MASK


class _Column(Generic[Word]):
    """A growing array. Small arrays kept between larger ones that come and go would leave holes in the heap that cost
    as much as they hold; of this one only what was written takes room."""

    def __init__(self, kind: type[Word]) -> None:
        self._kind: type[Word] = kind
        self._words: npt.NDArray[Word] = np.empty(FIRST_ROOM, kind)
        self._count = 0

    def add(self, words: npt.NDArray[Word]) -> None:
        """Append words."""
        end = self._count + len(words)
        if end > len(self._words):
            larger = np.empty(max(end, 2 * len(self._words)), self._kind)
            larger[: self._count] = self._words[: self._count]
            self._words = larger
        self._words[self._count : end] = words
        self._count = end

    def take(self) -> npt.NDArray[Word]:
        """Return what was added; the column is empty afterwards."""
        words: npt.NDArray[Word] = self._words[: self._count]
        self._words, self._count = np.empty(FIRST_ROOM, self._kind), 0
        return words
