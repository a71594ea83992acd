"""The state of the garbage collector: its lists, which objects are on which, and how often it ran.

The lists are circular, through sentinels in the interpreter's state (struct _gc_runtime_state, Include/internal/
pycore_gc.h or pycore_interp_structs.h). Each is a struct gc_generation: next, prev, int threshold, int count: 24 bytes.

- 3.10 to 3.13: generations 0, 1, 2; then a pointer to generation 0; then the permanent generation; then statistics.
- later 3.13 (seen in 3.13.5): the same, but generations are aligned to 4 bytes only, so that the pointer comes 4 bytes
  later.
- 3.14: young and two old ones (incremental), since 3.14.5 generations 0, 1, 2 again, with the pointer to generation 0
  far behind; the permanent generation right after them.
- 3.15: as 3.14.5, with that pointer nearer, and a pointer to the statistics, which are rings of the last collections.

Nothing is believed that does not prove itself: a state is one only if every sentinel's neighbors point back at it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from airmem.cpython.heads import OUTSIDE, STEP, Heads, Links
from airmem.cpython.layout import GC_POINTER_MASK, WORD_BYTES
from airmem.model.contents import Memory, ProcessKey

GENERATION_BYTES = 24
GENERATION_COUNT = 3
FROZEN = GENERATION_COUNT
"""The number of the permanent generation's list, where gc.freeze puts objects."""

NO_LIST = -1
"""In place of the list of a head that is not tracked, or whose list leads nowhere (a collection was just running)."""

COUNTER_BYTES = 24
"""struct gc_generation_stats: collections, collected, uncollectable."""

RINGS = ((0, 11), (712, 3), (912, 3))
"""struct gc_stats of 3.15: for each generation where its ring of statistics lies, and how many it keeps."""

RING_ENTRY_BYTES, RING_COLLECTIONS = 64, 16
"""struct gc_generation_stats of 3.15, whose counters are lifetime totals, and its field `collections`."""

RINGS_BYTES = 1112
STATE_BYTES = 256
MOST_COLLECTIONS = 1 << 40
MOST_SENTINELS = 256
"""So many ends of lists, by the objects on them, are tried as sentinels: 4 for each interpreter, unless a collection
was just running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a collector's state is laid out after the sentinel of its first generation; offsets in bytes.

    `first_pointer`: where a pointer to the first sentinel lies, None if it has none. `counters`: where the statistics
    lie, or with `has_rings` a pointer to them.
    """

    name: str
    frozen: int
    counters: int
    collecting: int
    first_pointer: int | None
    is_incremental: bool = False
    has_rings: bool = False


FORMS = (
    Form(name="generations", frozen=80, counters=104, collecting=176, first_pointer=72),
    Form(name="generations of 3.13.5", frozen=84, counters=108, collecting=180, first_pointer=76),
    Form(name="generations of 3.14.5", frozen=72, counters=96, collecting=168, first_pointer=232),
    Form(name="generations of 3.15", frozen=72, counters=96, collecting=104, first_pointer=160, has_rings=True),
    Form(name="young and old of 3.14", frozen=72, counters=96, collecting=168, first_pointer=None, is_incremental=True),
)
"""The forms known, those that prove themselves by a pointer first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """The collector of one interpreter of a process; forked processes have theirs at the same address.

    `sentinels` are the addresses of the lists by number: generations 0, 1, 2 (incremental: young and the two old
    ones), then FROZEN. `object_counts` by the same number: how many of the heads are on each.
    """

    form: Form
    sentinels: tuple[int, ...]
    object_counts: tuple[int, ...]

    @property
    def frozen_count(self) -> int:
        """How many objects gc.freeze has set aside, as gc.get_freeze_count() says."""
        return self.object_counts[FROZEN]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackedLists:
    """The lists of a process's heads. `list_of` (n,) int8: generation, FROZEN or NO_LIST, by head. `collectors`: one
    for each interpreter, the largest first; empty when none could be made sure of. `unexplained_count`: tracked heads
    whose list does not end at a collector's sentinel."""

    collectors: tuple[Collector, ...]
    list_of: npt.NDArray[np.int8]
    unexplained_count: int


def find_collectors(memory: Memory, key: ProcessKey, heads: Heads, links: Links) -> TrackedLists:
    """Return on which list each head is, and the collectors. Reads a few hundred bytes of the process."""
    last_of = follow_lists(links)
    lasts = np.flatnonzero(links.is_tracked & (links.next_at == OUTSIDE))
    counts = _count_lists(links, last_of, lasts)
    ends = heads.next[lasts]
    counts_of: dict[int, int] = {}
    for sentinel, count in zip(ends.tolist(), counts.tolist(), strict=True):
        counts_of[sentinel] = counts_of.get(sentinel, 0) + count
    collectors: list[Collector] = []
    for address in sorted(counts_of, key=lambda one: -counts_of[one])[:MOST_SENTINELS]:
        if not any(address in one.sentinels for one in collectors):
            found = _find_state(memory, key, address, counts_of)
            if found is not None:
                collectors.append(found)
    number_of = np.full(len(heads), NO_LIST, np.int8)
    for one in collectors:
        for number, sentinel in enumerate(one.sentinels):
            number_of[lasts[ends == np.uint64(sentinel)]] = number
    list_of = np.where(links.is_tracked, number_of.take(last_of), np.int8(NO_LIST))
    collectors.sort(key=lambda one: -sum(one.object_counts))
    unexplained_count = int(np.count_nonzero(links.is_tracked & (list_of == NO_LIST)))
    return TrackedLists(collectors=tuple(collectors), list_of=list_of, unexplained_count=unexplained_count)


def _count_lists(links: Links, last_of: npt.NDArray[np.int32], lasts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return how many tracked heads are on the list of each last one."""
    counts = np.zeros(len(lasts) + 1, np.int64)  # and one for lists without end
    for first in range(0, len(last_of), STEP):
        part = last_of[first : first + STEP][links.is_tracked[first : first + STEP]]
        at = np.minimum(np.searchsorted(lasts, part), max(0, len(lasts) - 1))
        known = lasts.take(at) == part if len(lasts) else np.zeros(len(part), np.bool_)
        counts += np.bincount(np.where(known, at, len(lasts)), minlength=len(counts))
    return counts[:-1]


def follow_lists(links: Links) -> npt.NDArray[np.int32]:
    """Return for each head the position of the last one of its list that is among the heads: a sentinel follows it.

    Pointer doubling: after k rounds each head knows the one 2**k further along. A list without end, which only a
    running collection leaves, ends anywhere.
    """
    count = len(links.next_at)
    at = np.arange(count, dtype=np.int32)
    goes_on = (links.next_at != OUTSIDE) & links.is_tracked
    at[goes_on] = links.next_at[goes_on]
    further = np.empty_like(at)
    for _ in range(max(1, count.bit_length())):
        for first in range(0, count, STEP):  # an index of 32 bits becomes one of 64 on the way
            further[first : first + STEP] = at.take(at[first : first + STEP])
        if np.array_equal(further, at):
            break
        at, further = further, at
    return at


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """How often a collector has run: `collections` by generation, None where it could not be made sure of; whether it
    was running when it was read."""

    collections: tuple[int, ...] | None
    is_collecting: bool


def read_counters(memory: Memory, key: ProcessKey, collector: Collector) -> Counters:
    """Return the counters of a process's collector; `collector` may be its parent's."""
    raw = memory.read(key, collector.sentinels[0], STATE_BYTES)
    if len(raw) < STATE_BYTES:
        return Counters(collections=None, is_collecting=False)
    form = collector.form
    counts = _read_rings(memory, key, _word(raw, form.counters)) if form.has_rings else _inline_counts(raw, form)
    collecting = struct.unpack_from("<i", raw, form.collecting)[0]
    is_sane = bool(counts) and all(0 <= count < MOST_COLLECTIONS for count in counts) and collecting in (0, 1)
    return Counters(collections=tuple(counts) if is_sane else None, is_collecting=collecting == 1)


def _inline_counts(raw: bytes, form: Form) -> list[int]:
    places = [form.counters + number * COUNTER_BYTES for number in range(GENERATION_COUNT)]
    return [struct.unpack_from("<q", raw, place)[0] for place in places]


def _read_rings(memory: Memory, key: ProcessKey, address: int) -> list[int]:
    """Return the collections of each generation: the totals in the newest entries, which are the largest."""
    raw = memory.read(key, address, RINGS_BYTES)
    if len(raw) < RINGS_BYTES:
        return []
    return [
        max(
            struct.unpack_from("<q", raw, first + entry * RING_ENTRY_BYTES + RING_COLLECTIONS)[0]
            for entry in range(count)
        )
        for first, count in RINGS
    ]


def _find_state(memory: Memory, key: ProcessKey, sentinel: int, counts: dict[int, int]) -> Collector | None:
    """Return the collector that has this sentinel: every form, at every place that the sentinel may have in it."""
    for form in FORMS:
        offsets = (*(number * GENERATION_BYTES for number in range(GENERATION_COUNT)), form.frozen)
        for offset in offsets:
            first = sentinel - offset
            if _is_state(memory, key, first, form, offsets):
                sentinels = tuple(first + one for one in offsets)
                object_counts = tuple(counts.get(one, 0) for one in sentinels)
                return Collector(form=form, sentinels=sentinels, object_counts=object_counts)
    return None


def _is_state(memory: Memory, key: ProcessKey, first: int, form: Form, offsets: Sequence[int]) -> bool:
    raw = memory.read(key, first, STATE_BYTES)
    if len(raw) < STATE_BYTES:
        return False
    if form.first_pointer is not None and _word(raw, form.first_pointer) != first:
        return False
    if struct.unpack_from("<i", raw, form.collecting)[0] not in (0, 1):
        return False
    return all(_is_sentinel(memory, key, first + offset, raw, offset) for offset in offsets)


def _is_sentinel(memory: Memory, key: ProcessKey, address: int, raw: bytes, offset: int) -> bool:
    """Whether the neighbors of a list's sentinel point back at it; those of an empty list are itself."""
    following, previous = _word(raw, offset) & GC_POINTER_MASK, _word(raw, offset + WORD_BYTES) & GC_POINTER_MASK
    if address in (following, previous):
        return following == previous
    back = _word(memory.read(key, following + WORD_BYTES, WORD_BYTES)) & GC_POINTER_MASK
    forth = _word(memory.read(key, previous, WORD_BYTES)) & GC_POINTER_MASK
    return back == address and forth == address


def _word(raw: bytes, at: int = 0) -> int:
    return int.from_bytes(raw[at : at + WORD_BYTES], "little")
