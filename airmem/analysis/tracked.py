"""The pages that hold objects which the collector tracks: what a collection copied, and what the next one will copy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from airmem.cpython.collector import (
    FROZEN,
    GENERATION_COUNT,
    NO_LIST,
    Collector,
    Counters,
    TrackedLists,
    find_collectors,
    read_counters,
)
from airmem.cpython.heads import STEP, Heads, Links, check_lists, complete_heads
from airmem.cpython.layout import GC_POINTER_MASK
from airmem.model.cow import CollectorState, Generation
from airmem.units import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.cpython.learn import TypeLearner
    from airmem.cpython.types import Flags
    from airmem.model.contents import Contents, Memory, ProcessKey

ROUNDS = 8
"""So often heads are completed: each round may lead to objects of types that were not known before."""


@dataclass(slots=True, eq=False)
class TrackedPages:
    """Which of a parent's pages hold heads, by the collector's lists.

    `live` and `young` (all generations; 0 and 1 only) and `frozen` are flags for each of its pages. `places`,
    `numbers`, `is_counted` and `is_first` are parallel, one for each head: its page's place, its type, whether it is
    live and of a known type, and the first such of its type on its page. `collector` is None when none could be made
    sure of: then nobody knows what is frozen.
    """

    live: Flags
    young: Flags
    frozen: Flags
    places: npt.NDArray[np.int32]
    numbers: npt.NDArray[np.int32]
    is_counted: Flags
    is_first: Flags
    collector: Collector | None
    counters: Counters | None
    frozen_ends: bytes
    state: CollectorState | None


def link_heads(contents: Contents, key: ProcessKey, learner: TypeLearner, heads: Heads) -> tuple[Heads, Links]:
    """Return the heads with all that their lists lead to, and which are tracked. Errors: ProcessGone."""
    links = check_lists(heads)
    for _ in range(ROUNDS):
        complete = complete_heads(contents, key, learner, heads, links)
        if complete is heads:
            break
        heads = complete
        links = check_lists(heads)
    return heads, links


def find_tracked(
    contents: Contents, key: ProcessKey, heads: Heads, links: Links, pages: npt.NDArray[np.int64]
) -> TrackedPages:
    """Return which of these pages (numbers, ascending) hold heads of a process, on which lists.

    `pages` may be its parent's: heads on other pages are left out. Errors: ProcessGone.
    """
    lists = find_collectors(contents, key, heads, links)
    place, is_there = _places(heads, pages)
    list_of = np.where(links.is_tracked & is_there, lists.list_of, NO_LIST)
    if not lists.collectors:
        list_of = np.where(links.is_tracked & is_there, 0, NO_LIST)
    is_live = (list_of >= 0) & (list_of < GENERATION_COUNT)
    collector = lists.collectors[0] if lists.collectors else None
    counters = None if collector is None else read_counters(contents, key, collector)
    is_counted = is_live & (heads.numbers >= 0)
    return TrackedPages(
        live=_flags(place, is_live, len(pages)),
        young=_flags(place, is_live & (list_of < GENERATION_COUNT - 1), len(pages)),
        frozen=_flags(place, list_of == FROZEN, len(pages)),
        places=place,
        numbers=heads.numbers,
        is_counted=is_counted,
        is_first=_find_firsts(place, heads.numbers, is_counted),
        collector=collector,
        counters=counters,
        frozen_ends=read_frozen_ends(contents, key, collector),
        state=None if collector is None else _state(lists, list_of, place, counters),
    )


def read_frozen_ends(memory: Memory, key: ProcessKey, collector: Collector | None) -> bytes:
    """Return where a process's permanent generation begins and ends; empty for an empty one, or where unknown.

    Processes that agree in it froze the same objects.
    """
    if collector is None:
        return b""
    sentinel = collector.sentinels[FROZEN]
    raw = memory.read(key, sentinel, 16)
    first = int.from_bytes(raw[:8], "little") & GC_POINTER_MASK
    return b"" if first in (0, sentinel) else raw


def _places(heads: Heads, pages: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], Flags]:
    """Return each head's place among the pages, and whether it lies on one. Both ascend: a page is looked up once."""
    own = heads.addresses >> np.uint64(PAGE_BYTES.bit_length() - 1)
    if not len(pages) or not len(own):
        return np.zeros(len(own), np.int32), np.zeros(len(own), np.bool_)
    begins = np.concatenate(([0], np.flatnonzero(own[1:] != own[:-1]) + 1))
    lengths = np.diff(np.append(begins, len(own)))
    distinct = own[begins].astype(np.int64)
    place = np.minimum(np.searchsorted(pages, distinct), len(pages) - 1)
    return np.repeat(place.astype(np.int32), lengths), np.repeat(pages[place] == distinct, lengths)


def _flags(place: npt.NDArray[np.int32], which: Flags, count: int) -> Flags:
    flags = np.zeros(count, np.bool_)
    flags[place[which]] = True
    return flags


def _find_firsts(places: npt.NDArray[np.int32], numbers: npt.NDArray[np.int32], which: Flags) -> Flags:
    """Tell which of some heads (their places ascend) are the first of their type on their page."""
    is_first = np.zeros(len(numbers), np.bool_)
    begin = 0
    while begin < len(numbers):  # some whole pages at a time: sorting all would take as much room again as the heads
        last = places[min(begin + STEP, len(numbers)) - 1]
        end = begin + int(np.searchsorted(places[begin:], last, side="right"))
        chosen = begin + np.flatnonzero(which[begin:end])
        order = chosen[np.argsort(numbers[chosen], kind="stable")]
        is_new = np.ones(len(order), np.bool_)
        is_new[1:] = (np.diff(places[order]) != 0) | (np.diff(numbers[order]) != 0)
        is_first[order] = is_new
        begin = end
    return is_first


def _state(
    lists: TrackedLists, list_of: npt.NDArray[np.int8], place: npt.NDArray[np.int32], counters: Counters | None
) -> CollectorState:
    totals = [sum(one.object_counts[number] for one in lists.collectors) for number in range(FROZEN + 1)]
    page_counts = [len(np.unique(place[list_of == number])) for number in range(FROZEN + 1)]
    pairs = list(zip(totals, page_counts, strict=True))
    collections = counters.collections if counters else None
    return CollectorState(
        generations=tuple(Generation(object_count=some, page_count=pages) for some, pages in pairs[:FROZEN]),
        frozen_count=pairs[FROZEN][0],
        frozen_pages=pairs[FROZEN][1],
        full_collection_count=None if collections is None else collections[GENERATION_COUNT - 1],
        full_since_fork_count=None,
    )
