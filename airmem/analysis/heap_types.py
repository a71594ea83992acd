"""What was counted in a tree, by the names of types; where it lies; how it changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import numpy as np

from airmem.analysis.heap import HeapCounts, Held, Tally
from airmem.cpython.build import find_build
from airmem.cpython.learn import TypeLearner
from airmem.cpython.names import TypeNames
from airmem.cpython.types import PythonType
from airmem.cpython.version import read_version
from airmem.errors import ProcessGone, UsageProblem
from airmem.model.anonymous import AddressRange, AnonymousPages
from airmem.model.contents import Contents, Memory, ProcessKey
from airmem.model.heap import HeapAccuracy, HeapGrowth, HeapPlace, HeapType
from airmem.model.pages import PRESENT
from airmem.units import PAGE_BYTES


class NamedTypes:
    """Chooses the types of one name: qualified (`service.cache.Entry`) or bare (`Entry`)."""

    def __init__(self, memory: Memory, key: ProcessKey, wanted: str) -> None:
        self._memory = memory
        self._key = key
        self._wanted = wanted

    def __call__(self, learner: TypeLearner) -> list[PythonType]:
        """Return the types that have the name. Errors: UsageProblem when there are none, with those that come near."""
        names = TypeNames(self._memory, self._key)
        by_name: dict[str, list[PythonType]] = {}
        for one in learner.types():
            by_name.setdefault(names.name(one), []).append(one)
        ending = "." + self._wanted
        found = [
            one for name, types in by_name.items() if name == self._wanted or name.endswith(ending) for one in types
        ]
        if not found:
            near = get_close_matches(self._wanted, [*by_name], n=3) or get_close_matches(
                self._wanted.rpartition(".")[2], [name.rpartition(".")[2] for name in by_name], n=3
            )
            remedy = f"Did you mean {' or '.join(near)}?" if near else "List them: airmem heap TARGET --top 1000"
            raise UsageProblem(f"the process has no type {self._wanted!r}", remedy)
        return found


class HeapNames:
    """Names the types of each process of a tree; needs their memory, so it is asked before that is closed."""

    def __init__(self, memory: Memory, keys: Sequence[ProcessKey], counts: HeapCounts) -> None:
        self._counts = counts
        self._names: list[TypeNames] = []
        for position, key in enumerate(keys):
            self._names.append(self._names[0].for_child(key) if position else TypeNames(memory, key))

    def types_of(self, position: int, tally: Tally) -> dict[str, HeapType]:
        """Return by name what a tally of the pages looked at in one process holds."""
        held = self._counts.held[position]
        if held is None:
            return {}
        counts = tally.counts(held.is_listed)
        shallow = tally.shallow_bytes(held.table, held.is_listed)
        found: dict[str, HeapType] = {}
        for number in np.flatnonzero(counts).tolist():
            one = held.table.types[number]
            try:
                name = self._names[position].name(one)
            except ProcessGone:
                name = one.name
            tracked_count = int(tally.tracked[number]) if one.is_gc else None
            added = HeapType(
                type=name,
                count=int(counts[number]),
                shallow_bytes=int(shallow[number]),
                tracked_count=tracked_count,
            )
            found[name] = _plus(found[name], added) if name in found else added
        return found


def _plus(one: HeapType, other: HeapType) -> HeapType:
    tracked = [each for each in (one.tracked_count, other.tracked_count) if each is not None]
    return HeapType(
        type=one.type,
        count=one.count + other.count,
        shallow_bytes=one.shallow_bytes + other.shallow_bytes,
        tracked_count=sum(tracked) if tracked else None,
    )


def rank(types: Iterable[HeapType]) -> tuple[HeapType, ...]:
    """Return types, the largest first."""
    return tuple(sorted(types, key=lambda one: (-one.shallow_bytes, -one.count, one.type)))


def sum_process(counts: HeapCounts, position: int) -> tuple[int, int, int, int] | None:
    """Return what one process has: own objects and bytes, inherited objects and bytes; None if it is gone."""
    own = counts.held[position]
    if own is None:
        return None
    own_count, own_bytes = _sum(own, own.tallies[position])
    count, size_bytes = _sum(own, own.inherited)
    inherited_count, inherited_bytes = count, size_bytes
    for other, held in enumerate(counts.held):
        if held is not None and other != position and position in held.tallies:
            more_count, more_bytes = _sum(held, held.tallies[position])
            inherited_count += more_count
            inherited_bytes += more_bytes
    return own_count - count, own_bytes - size_bytes, inherited_count, inherited_bytes


def _sum(held: Held, tally: Tally) -> tuple[int, int]:
    shallow = tally.shallow_bytes(held.table, held.is_listed)
    return int(tally.counts(held.is_listed).sum()), int(shallow.sum())


def judge_accuracy(counts: HeapCounts) -> HeapAccuracy:
    """Return how sure the counts of the first process are."""
    (held, *_) = counts.held
    assert held is not None  # noqa: S101  # count_objects raises where the first one cannot be counted
    tally = held.tallies[0]
    is_listed = held.is_listed & ~held.table.is_metatype  # static types have no head
    return HeapAccuracy(
        tracked_count=int(tally.tracked.sum()),
        loose_count=int((tally.live - tally.tracked)[is_listed].clip(min=0).sum()),
        assumed_count=held.assumed_count,
        walked_count=held.walked_count,
        unread_page_count=sum(one.unread_page_count for one in counts.held if one is not None),
    )


def find_places(held: Held, ranges: Sequence[AddressRange]) -> tuple[HeapPlace, ...]:
    """Return the mappings (ascending) where the chosen objects lie, those with most of them first."""
    if not held.chosen_addresses:
        return ()
    addresses = np.concatenate(held.chosen_addresses)
    sizes = np.concatenate(held.chosen_sizes)
    starts = np.array([one.start_address for one in ranges], np.int64)
    ends = np.array([one.end_address for one in ranges], np.int64)
    at = np.searchsorted(starts, addresses, side="right") - 1
    is_inside = (at >= 0) & (addresses < ends.take(at, mode="clip"))
    found = []
    for place in np.unique(at[is_inside]).tolist():
        which = is_inside & (at == place)
        one = ranges[place]
        pages = np.unique(addresses[which] // PAGE_BYTES)
        found.append(
            HeapPlace(
                start_address=one.start_address,
                end_address=one.end_address,
                permissions=one.permissions,
                name=one.name,
                count=int(np.count_nonzero(which)),
                shallow_bytes=int(sizes[which].sum()),
                page_count=len(pages),
            )
        )
    return tuple(sorted(found, key=lambda one: -one.count))


def diff_types(before: Iterable[HeapType], after: Iterable[HeapType]) -> tuple[HeapGrowth, ...]:
    """Return what changed, the types that grew most in bytes, then in objects, first."""
    old = {one.type: one for one in before}
    new = {one.type: one for one in after}
    found = []
    for name in {**new, **old}:
        was, now = old.get(name), new.get(name)
        growth = HeapGrowth(
            type=name,
            before_count=was.count if was else 0,
            after_count=now.count if now else 0,
            before_bytes=was.shallow_bytes if was else 0,
            after_bytes=now.shallow_bytes if now else 0,
        )
        if (growth.before_count, growth.before_bytes) != (growth.after_count, growth.after_bytes):
            found.append(growth)
    return tuple(
        sorted(
            found,
            key=lambda one: (one.before_bytes - one.after_bytes, one.before_count - one.after_count, one.type),
        )
    )


def find_python_version(memory: Memory, key: ProcessKey, counts: HeapCounts) -> str | None:
    """Return the version of the first process, as it has it in sys.version_info; None where that is not found."""
    (held, *_) = counts.held
    return read_version(memory, key, held.version_addresses) if held is not None else None


def explain_unknown(contents: Contents, key: ProcessKey, pages: AnonymousPages) -> str:
    """Return why a process's objects are unknown, as far as its programs' and libraries' own pages tell; else empty."""
    files = [(one.start_address, one.end_address) for one in pages.ranges if one.inode]
    starts = np.array([start for start, _ in files], np.int64)
    ends = np.array([end for _, end in files], np.int64)
    present = pages.pages[pages.words & np.uint64(PRESENT) != 0]
    if not len(starts):
        return ""
    at = np.searchsorted(starts, present * PAGE_BYTES, side="right") - 1
    found = find_build(contents, key, present[(at >= 0) & (present * PAGE_BYTES < ends.take(at, mode="clip"))])
    if found is None:
        return ""
    return f"CPython {found.version}" + (", a free-threaded build" if found.is_free_threaded else "")
