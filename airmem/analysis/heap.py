"""Objects by type in each process of a tree, each page looked at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from airmem.analysis.heap_pages import Flags, HeapMember, Share, divide_pages, within
from airmem.cpython.heads import (
    OUTSIDE,
    STEP,
    Chain,
    HeadList,
    Heads,
    check_lists,
    complete_heads,
    look_up,
    make_chain,
)
from airmem.cpython.layout import GC_HEAD_BYTES, PAGE_SHIFT
from airmem.cpython.learn import TypeLearner, learn_types, slot_addresses, sweep_types
from airmem.cpython.objects import scan_objects
from airmem.cpython.pools import outside_pools
from airmem.cpython.sizes import ItemSizes
from airmem.cpython.types import PythonType, TypeTable
from airmem.cpython.version import VERSION_TYPE
from airmem.errors import NotMeasurable, ProcessGone
from airmem.model.contents import Contents, PageBlock
from airmem.units import PAGE_BYTES

SOMETIMES_TRACKED = ("tuple", "dict")
"""Builtin types whose live instances are counted, not the tracked ones: the collector lets go of those that hold
nothing that it could collect (Objects/tupleobject.c, Objects/dictobject.c)."""

LOOSE_RATIO = 0.01
"""Of a resting process less than this part of the heads are on no list (0.4 % of what Airflow imports).
With more it was collecting, which takes the lists apart, or changed faster than it was read."""

MOST_VERSIONS = 8
"""So many objects are tried as sys.version_info."""

Counts = npt.NDArray[np.int64]
Choice = Callable[[TypeLearner], Sequence[PythonType]]
"""Chooses among the types of a process those whose places are asked for."""


@dataclass(slots=True, eq=False)
class Tally:
    """What one process has on the pages of one holder, by type number of the holder's table: live objects, how many the
    collector tracks, and items in bytes beyond the basic size of those that count: of always tracked types the tracked
    ones."""

    live: Counts
    item_bytes: Counts
    tracked: Counts

    @classmethod
    def empty(cls, type_count: int) -> Tally:
        """Return one without objects."""
        return cls(*(np.zeros(type_count, np.int64) for _ in range(3)))

    def without(self, other: Tally) -> Tally:
        """Return what is left of it without what another has."""
        return Tally(self.live - other.live, self.item_bytes - other.item_bytes, self.tracked - other.tracked)

    def counts(self, is_listed: Flags) -> Counts:
        """Return how many objects there are: tracked ones of types that are always tracked, live ones of others."""
        return np.where(is_listed, self.tracked, self.live)

    def shallow_bytes(self, table: TypeTable, is_listed: Flags) -> Counts:
        """Return basic sizes and items."""
        shallow: Counts = self.counts(is_listed) * table.basicsize_bytes + self.item_bytes
        return shallow


@dataclass(slots=True, eq=False)
class Held:
    """What was found on the pages that were looked at in one process: by position of each process that maps them, all
    of them (`tallies`), and those that it has from an ancestor (`inherited`)."""

    table: TypeTable
    learner: TypeLearner
    is_listed: Flags
    tallies: dict[int, Tally]
    inherited: Tally
    walked_count: int = 0
    assumed_count: int = 0
    unread_page_count: int = 0
    version_addresses: list[int] = field(default_factory=list)
    chosen_numbers: Flags | None = None
    chosen_addresses: list[npt.NDArray[np.int64]] = field(default_factory=list)
    chosen_sizes: list[npt.NDArray[np.int64]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeapCounts:
    """What was found in a tree: by position what was looked at in each process; None for one that is gone, or that is
    no CPython that is known: `unknown` has the causes, by position."""

    held: tuple[Held | None, ...]
    unknown: dict[int, str]
    looked_at_bytes: int


def count_objects(
    contents: Contents, members: Sequence[HeapMember], shows_frames: bool, choose: Choice | None = None
) -> HeapCounts:
    """Count the objects of a tree's processes, parents before children.

    `choose` picks the types of the first process whose places are kept. A child that ends meanwhile is None. Errors:
    NotMeasurable when the first one is no CPython that is known, ProcessGone when it ends.
    """
    shares = divide_pages(members, shows_frames)
    tree = _Tree(contents, members, shares)
    held: list[Held | None] = []
    unknown: dict[int, str] = {}
    for position in range(len(members)):
        try:
            held.append(tree.count(position, choose if position == 0 else None))
        except ProcessGone:
            if position == 0:
                raise
            held.append(None)
        except NotMeasurable as problem:
            if position == 0:
                raise
            held.append(None)
            unknown[position] = problem.cause
    looked_at_bytes = sum(len(one.pages) for one in shares) * PAGE_BYTES
    return HeapCounts(held=tuple(held), unknown=unknown, looked_at_bytes=looked_at_bytes)


class _Tree:
    """Counts process by process; keeps the heads of those whose pages others map, too."""

    def __init__(self, contents: Contents, members: Sequence[HeapMember], shares: Sequence[Share]) -> None:
        self._contents = contents
        self._members = members
        self._shares = shares
        self._chains: dict[int, Chain] = {}
        self._learners: dict[int, TypeLearner] = {}

    def count(self, position: int, choose: Choice | None) -> Held:
        """Count what lies on the pages that are to be looked at in one process."""
        key, share = self._members[position].key, self._shares[position]
        learner = self._learners[position] = self._learn(position)
        table = learner.table()
        held = Held(
            table=table,
            learner=learner,
            is_listed=_is_listed(table),
            tallies={one: Tally.empty(len(table)) for one in (position, *share.used_by)},
            inherited=Tally.empty(len(table)),
        )
        if choose is not None:
            held.chosen_numbers = _numbers_of(table, choose(learner))
        collected, sizes = HeadList(table), ItemSizes(table)
        version = np.array([one.name == VERSION_TYPE for one in table.types], np.bool_)
        offset, pending = 0, _ListedItems()
        for block in self._contents.blocks(key, share.pages):
            slots, numbers = scan_objects(table, block.words)
            collected.add(block, slots, numbers)
            at, items = sizes.find(block, slots, numbers)
            at, items = within(self._members[position].spans, slot_addresses(block.pages, slots.take(at)), at, items)
            listed = held.is_listed.take(numbers.take(at))
            pending.add(slot_addresses(block.pages, slots.take(at[listed])), items[listed])
            found = _Found(block, slots, numbers, at[~listed], items[~listed])
            self._add(position, held, found, slice(offset, offset + len(block.pages)))
            _keep_versions(held, version, found)
            held.unread_page_count += int(np.count_nonzero(~block.is_read))
            offset += len(block.pages)
        self._add_tracked(position, held, collected.finish(), pending)
        return held

    def _learn(self, position: int) -> TypeLearner:
        member, share = self._members[position], self._shares[position]
        if member.parent is None:
            return learn_types(self._contents, member.key, share.pages)
        learner = self._learners[member.parent].for_child(member.key)
        sweep_types(self._contents, member.key, outside_pools(self._contents, member.key, share.pages), learner)
        return learner

    def _add(self, position: int, held: Held, found: _Found, part: slice) -> None:
        """Add the live objects of a block to the tallies of all who map its pages."""
        share = self._shares[position]
        whole = found.count(len(held.table))
        _add_live(held.tallies[position], whole)
        _add_some(held.inherited, whole, found, share.is_inherited[part], len(held.table))
        for other, is_used in share.used_by.items():
            _add_some(held.tallies[other], whole, found, is_used[part], len(held.table))
        if held.chosen_numbers is not None:
            found.keep_chosen(held, held.chosen_numbers & ~held.is_listed)

    def _add_tracked(self, position: int, held: Held, heads: Heads, pending: _ListedItems) -> None:
        key, share = self._members[position].key, self._shares[position]
        links = check_lists(heads)
        if position == 0:
            completed = complete_heads(self._contents, key, held.learner, heads, links)
            held.walked_count = len(completed) - len(heads)
            if completed is not heads:
                heads, links = completed, check_lists(completed)
        is_tracked = links.is_tracked
        if position:
            self._check_beyond(position, heads, is_tracked)
        held.assumed_count = _assume(held.table, heads, is_tracked)
        numbers = heads.numbers
        is_counted = is_tracked & (numbers >= 0)
        pages, kinds, items = pending.finish(heads, is_counted, share.pages)
        _add_items(held.tallies[position], kinds, items, len(held.table))
        sharers = [(is_used, held.tallies[other]) for other, is_used in share.used_by.items()]
        sharers += [(share.is_inherited, held.inherited)] * bool(share.is_inherited.any())
        for is_used, tally in sharers:
            which = is_used.take(pages)
            _add_items(tally, kinds[which], items[which], len(held.table))
        for first in range(0, len(heads), STEP):
            part = slice(first, first + STEP)
            some = np.flatnonzero(is_counted[part])
            kinds = numbers[part].take(some)
            objects = heads.addresses[part].take(some).view(np.int64) + GC_HEAD_BYTES
            held.tallies[position].tracked += np.bincount(kinds, minlength=len(held.table))
            pages = np.searchsorted(share.pages, objects // PAGE_BYTES) if sharers else objects
            for is_used, tally in sharers:
                tally.tracked += np.bincount(kinds[is_used.take(pages)], minlength=len(held.table))
            if held.chosen_numbers is not None:
                wanted = (held.chosen_numbers & held.is_listed).take(kinds)
                held.chosen_addresses.append(objects[wanted])
                held.chosen_sizes.append(held.table.basicsize_bytes.take(kinds[wanted]))
        if share.used_by:
            self._chains[position] = make_chain(heads, links)

    def _check_beyond(self, position: int, heads: Heads, is_tracked: Flags) -> None:
        """Mark as tracked those heads of a child whose neighbors lie on pages that it shares."""
        for other, chain in self._chains.items():
            is_used = self._shares[other].used_by.get(position)
            if is_used is None or not len(chain.addresses):
                continue
            pages = self._shares[other].pages
            left = np.flatnonzero(~is_tracked)
            for there, back in ((heads.next, chain.previous_at), (heads.previous, chain.next_at)):
                at, is_there = look_up(chain.addresses, there.take(left))
                page = np.searchsorted(pages, (chain.addresses.take(at) // np.uint64(PAGE_BYTES)).view(np.int64))
                is_there &= is_used.take(np.minimum(page, len(pages) - 1))
                turn = back.take(at)
                is_there &= (turn != OUTSIDE) & (chain.addresses.take(turn) == heads.addresses.take(left))
                is_tracked[left[is_there]] = True


class _ListedItems:
    """Sizes of objects of always tracked types, kept until it is known which of them are tracked: few have any."""

    def __init__(self) -> None:
        self._addresses: list[Counts] = [np.empty(0, np.int64)]
        self._items: list[Counts] = [np.empty(0, np.int64)]

    def add(self, addresses: Counts, items: Counts) -> None:
        """Keep the items' bytes of objects at ascending addresses."""
        self._addresses.append(addresses)
        self._items.append(items)

    def finish(self, heads: Heads, is_counted: Flags, pages: Counts) -> tuple[Counts, npt.NDArray[np.int32], Counts]:
        """Return of those that are tracked the positions of their pages, their types, and their items' bytes."""
        addresses, items = np.concatenate(self._addresses), np.concatenate(self._items)
        at, is_there = look_up(heads.addresses, (addresses - GC_HEAD_BYTES).view(np.uint64))
        is_there &= is_counted.take(at) if len(heads) else False
        at = at[is_there]
        return np.searchsorted(pages, addresses[is_there] // PAGE_BYTES), heads.numbers.take(at), items[is_there]


def _assume(table: TypeTable, heads: Heads, is_tracked: Flags) -> int:
    """Mark heads that are on no list as tracked if there are many; return how many. An untracked object's next is 0."""
    loose = np.flatnonzero(~is_tracked & (heads.next != 0) & (heads.numbers >= 0))
    loose = loose[~table.is_metatype.take(heads.numbers.take(loose))]  # static types have no head
    if len(loose) <= LOOSE_RATIO * np.count_nonzero(is_tracked):
        return 0
    is_tracked[loose] = True
    return len(loose)


def _add_items(tally: Tally, numbers: npt.NDArray[np.int32], items: Counts, type_count: int) -> None:
    tally.item_bytes += np.bincount(numbers, items, minlength=type_count).astype(np.int64)


@dataclass(slots=True, eq=False)
class _Found:
    """The objects of one block; `items` bytes beyond the basic size belong to those at positions `items_at`."""

    block: PageBlock
    slots: Counts
    numbers: npt.NDArray[np.int32]
    items_at: Counts
    items: Counts

    def count(self, type_count: int, which: Flags | None = None) -> tuple[Counts, Counts]:
        """Return by type the number of objects and their items' bytes; only of some objects with `which`."""
        numbers, items, item_numbers = self.numbers, self.items, self.numbers.take(self.items_at)
        if which is not None:
            chosen = which.take(self.items_at)
            numbers, items, item_numbers = numbers[which], items[chosen], item_numbers[chosen]
        counts = np.bincount(numbers, minlength=type_count)
        return counts, np.bincount(item_numbers, items, minlength=type_count).astype(np.int64)

    def keep_chosen(self, held: Held, chosen: Flags) -> None:
        """Keep the addresses and sizes of the objects of some types."""
        which = np.flatnonzero(chosen.take(self.numbers))
        if not len(which):
            return
        sizes = held.table.basicsize_bytes.take(self.numbers)
        sizes[self.items_at] += self.items
        held.chosen_addresses.append(slot_addresses(self.block.pages, self.slots.take(which)))
        held.chosen_sizes.append(sizes.take(which))


def _add_live(tally: Tally, counted: tuple[Counts, Counts]) -> None:
    tally.live += counted[0]
    tally.item_bytes += counted[1]


def _add_some(tally: Tally, whole: tuple[Counts, Counts], found: _Found, is_used: Flags, type_count: int) -> None:
    """Add the objects on those pages of a block that somebody uses."""
    if is_used.all():
        _add_live(tally, whole)
    elif is_used.any():
        _add_live(tally, found.count(type_count, is_used.take(found.slots >> PAGE_SHIFT)))


def _keep_versions(held: Held, version: Flags, found: _Found) -> None:
    if len(held.version_addresses) < MOST_VERSIONS and version.any():
        slots = found.slots[version.take(found.numbers)]
        held.version_addresses += slot_addresses(found.block.pages, slots).tolist()


def _is_listed(table: TypeTable) -> Flags:
    """Return which types are always tracked, so that the lists tell their objects from what looks like one."""
    sometimes = [one.is_static and one.name in SOMETIMES_TRACKED for one in table.types]
    return table.is_gc & ~np.array(sometimes, np.bool_)


def _numbers_of(table: TypeTable, types: Sequence[PythonType]) -> Flags:
    chosen = np.zeros(len(table), np.bool_)
    for one in types:
        number = table.number(one.address_bytes)
        if number is not None:
            chosen[number] = True
    return chosen
