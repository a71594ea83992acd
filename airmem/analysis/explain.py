"""The contents of a family put together: for each worker what caused its copies, and what the collector will copy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from airmem.analysis.address_map import is_in_files
from airmem.analysis.causes import UNREADABLE, Comparison, Line, compare_line, start_comparison
from airmem.analysis.collected import GC, UNKNOWN, Ran, find_collections, name_causes, of_parent, worker_state
from airmem.analysis.inline_caches import CODE
from airmem.analysis.page_types import find_page_types
from airmem.analysis.tracked import TrackedPages, find_tracked, link_heads, read_frozen_ends
from airmem.analysis.words import IDENTICAL, UNREAD
from airmem.analysis.writers import COPIED, NEW, SHARED, Member
from airmem.cpython.collector import read_counters
from airmem.cpython.heads import HeadList, Heads
from airmem.cpython.learn import TypeLearner, learn_types, slot_addresses
from airmem.cpython.names import TypeNames
from airmem.cpython.objects import scan_objects
from airmem.errors import NotMeasurable
from airmem.model.cow import TypeWords
from airmem.units import KIB, PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from airmem.analysis.fraction import Fraction
    from airmem.cpython.types import Flags, TypeTable
    from airmem.model.anonymous import AnonymousTables
    from airmem.model.contents import Contents, ProcessKey
    from airmem.model.cow import CollectorState

IMMORTAL_COUNT = 3 << 28
"""From here on the count of `type` is not counted any more: 3.12 and later give immortal objects 2**32 - 1 or 3 << 30,
which code built for the stable ABI of older versions may have changed a little (PEP 683)."""

SKIMMED_PAGES = 1 << 13
"""So many pages, evenly apart, are looked at for types where not all may be read: 32 MiB."""

MOST_NEW_PAGES = 1 << 14
"""Of each process's new pages so many are looked at: 64 MiB."""

STRETCH_BYTES = 256 * KIB
"""An import makes code objects, and beside them in memory all else that a module has: new pages in such a stretch with
code came by imports. What a program makes of data later fills stretches of its own."""

INLINE_CACHES = "builtins.code (inline caches)"


@dataclass(slots=True, eq=False)
class Explanation:
    """What contents tell of one worker. `causes` has a place in model.cow.CAUSES for each of its pages. `live` and
    `frozen` are flags of its pages that hold tracked objects, None where that cannot be told. `has_immortals`: objects
    that are part of Python are not counted (3.12 and later). `unstable_count` pages changed while they were read,
    `imported_page_count` new pages came by imports. `page_types` is for each page the number of the type that was
    written most there, -1 for none, and `type_names` has their names; None unless asked for."""

    comparison: Comparison
    causes: npt.NDArray[np.uint8]
    live: Flags | None
    frozen: Flags | None
    collector: CollectorState | None
    types: tuple[TypeWords, ...]
    has_immortals: bool = True
    unstable_count: int = 0
    imported_page_count: int = 0
    page_types: npt.NDArray[np.int32] | None = None
    type_names: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class FamilyContents:
    """All explanations by position, the collectors and the pages in pools with free blocks of those
    that have children, and why others have neither. `gone` are those that ended meanwhile, or may not be read."""

    workers: dict[int, Explanation] = field(default_factory=dict)
    hole_pages: dict[int, int] = field(default_factory=dict)
    collectors: dict[int, CollectorState] = field(default_factory=dict)
    obstacles: dict[int, str] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)


def explain_family(
    contents: Contents,
    keys: Sequence[ProcessKey],
    members: list[Member | None],
    fraction: Fraction,
    *,
    with_page_types: bool = False,
) -> FamilyContents:
    """Return what the contents of a family's pages tell. `keys` go by position, `fraction` of the copies is read.

    Errors: ProcessGone when the root ends meanwhile; of others only what concerns them is missing.
    """
    return _Explainer(contents, keys, fraction, with_page_types).explain(members)


class _Explainer:
    """Goes through a family, one parent after the other."""

    def __init__(
        self, contents: Contents, keys: Sequence[ProcessKey], fraction: Fraction, with_page_types: bool
    ) -> None:
        self._contents = contents
        self._with_page_types = with_page_types
        self._keys = keys
        self._fraction = fraction
        self._found = FamilyContents()
        self._learners: dict[int, TypeLearner | None] = {}

    def explain(self, members: list[Member | None]) -> FamilyContents:
        for elder in members:
            if elder is None or not elder.children:
                continue
            try:
                self._explain_line(elder, self._learn(elder))
            except UNREADABLE:
                if elder.position == 0:
                    raise
                self._found.gone.add(elder.position)
        return self._found

    def _learn(self, elder: Member) -> TypeLearner | None:
        """Return what knows the types of a process, the same for all that descend from one by forks alone."""
        top = elder
        while top.parent is not None:
            top = top.parent
        if top.position not in self._learners:
            learner = None
            pages = top.pages[top.is_present]
            if not self._fraction.with_heads:
                pages = pages[:: max(1, len(pages) // SKIMMED_PAGES)]
            try:
                learner = learn_types(self._contents, self._keys[top.position], pages)
            except NotMeasurable as problem:
                self._found.obstacles[top.position] = problem.cause
            self._learners[top.position] = learner
        return self._learners[top.position]

    def _explain_line(self, elder: Member, learner: TypeLearner | None) -> None:
        if learner is None:
            for child in elder.children:
                self._found.workers[child.position] = _unexplained(child)
            return
        table = learner.table()
        line = compare_line(
            self._contents, self._keys, elder, table, self._fraction, with_page_types=self._with_page_types
        )
        if not self._fraction.with_heads:
            for child in elder.children:
                self._found.workers[child.position] = _without_heads(child, line.comparisons[child.position])
            return
        key = self._keys[elder.position]
        self._found.hole_pages[elder.position] = line.hole_pages
        line.heads, links = link_heads(self._contents, key, learner, line.heads)
        tracked = find_tracked(self._contents, key, line.heads, links, elder.pages)
        del links
        if tracked.state is not None:
            self._found.collectors[elder.position] = tracked.state
        lists = _Lists(self._contents, key, line, tracked, (learner, table))
        names = TypeNames(self._contents, key)
        for child in elder.children:
            try:
                self._explain_child(child, lists, names)
            except UNREADABLE:
                self._found.gone.add(child.position)

    def _explain_child(self, child: Member, lists: _Lists, names: TypeNames) -> None:
        key = self._keys[child.position]
        tracked = lists.of(child, key)
        counters = None if tracked.collector is None else read_counters(self._contents, key, tracked.collector)
        comparison = lists.line.comparisons[child.position]
        causes = name_causes(child, comparison, tracked, find_collections(child, tracked, counters))
        explanation = self._found.workers[child.position] = Explanation(
            comparison=comparison,
            causes=causes,
            live=of_parent(child, tracked.live) if tracked.collector else None,
            frozen=of_parent(child, tracked.frozen) if tracked.collector else None,
            collector=worker_state(tracked, counters, lists.parents.counters),
            types=_types(child, comparison, causes, tracked, (lists.table, names)),
            has_immortals=lists.has_immortals,
            imported_page_count=self._count_imported_pages(child, key, lists.table),
        )
        if self._with_page_types:
            types = find_page_types(child, comparison, causes, tracked, len(lists.table))
            explanation.page_types = types
            known = np.unique(types[types >= 0]).tolist()
            explanation.type_names = {number: names.name(lists.table.types[number]) for number in known}

    def _count_imported_pages(self, child: Member, key: ProcessKey, table: TypeTable) -> int:
        """Return how many new pages imports after the fork have left, by the code objects that they make."""
        is_code = np.array([one.name == CODE and one.is_static for one in table.types], np.bool_)
        new = child.pages[(child.states == NEW) & child.is_present][:MOST_NEW_PAGES]
        found = [np.empty(0, np.int64)]
        for block in self._contents.blocks(key, new):
            slots, numbers = scan_objects(table, block.words)
            found.append(slot_addresses(block.pages, slots[is_code.take(numbers)]) // STRETCH_BYTES)
        code = np.unique(np.concatenate(found))
        if not len(code):
            return 0
        is_imported = np.isin(new // (STRETCH_BYTES // PAGE_BYTES), code) | is_in_files(child.ranges, new)
        return int(np.count_nonzero(is_imported))


def _unexplained(child: Member) -> Explanation:
    """Return the explanation of a process that is no CPython: its copies were not even read."""
    comparison = start_comparison(child)
    comparison.codes[child.states == COPIED] = UNREAD
    causes = np.full(len(comparison.codes), UNKNOWN, np.uint8)
    return Explanation(comparison=comparison, causes=causes, live=None, frozen=None, collector=None, types=())


def _without_heads(child: Member, comparison: Comparison) -> Explanation:
    """Return what changed words alone tell: pages that look the same were copied by counts or by a collection."""
    causes = name_causes(child, comparison, None, Ran(full=False, young=False))
    return Explanation(comparison=comparison, causes=causes, live=None, frozen=None, collector=None, types=())


class _Lists:
    """The tracked pages of a parent as its children have them.

    They are the parent's, unless one of them froze or unfroze objects after the fork. Then the child's own heads are
    looked at, once for all children that froze the same.
    """

    def __init__(
        self,
        contents: Contents,
        line_key: ProcessKey,
        line: Line,
        tracked: TrackedPages,
        types: tuple[TypeLearner, TypeTable],
    ) -> None:
        self._contents = contents
        self._learner, self.table = types
        self._by_frozen = {tracked.frozen_ends: tracked}
        self.line = line
        self.parents = tracked
        raw = contents.read(line_key, self._learner.type_address_bytes, 4)
        self.has_immortals = int.from_bytes(raw, "little") >= IMMORTAL_COUNT

    def of(self, child: Member, key: ProcessKey) -> TrackedPages:
        """Return which of its parent's pages hold tracked objects of a child. Errors: ProcessGone."""
        if self.parents.collector is None:
            return self.parents
        ends = read_frozen_ends(self._contents, key, self.parents.collector)
        if ends not in self._by_frozen:
            heads = _heads_of(self._contents, key, child, self.line.heads, self.table)
            heads, links = link_heads(self._contents, key, self._learner, heads)
            self._by_frozen[ends] = find_tracked(self._contents, key, heads, links, self.line.elder.pages)
        return self._by_frozen[ends]


def _heads_of(contents: Contents, key: ProcessKey, child: Member, parents: Heads, table: TypeTable) -> Heads:
    """Return a child's heads: its parent's on pages that both share, and those on pages of its own."""
    shared = child.pages[child.states == SHARED]
    own = (parents.addresses // np.uint64(PAGE_BYTES)).astype(np.int64)
    place = np.minimum(np.searchsorted(shared, own), max(0, len(shared) - 1))
    kept = parents.select(shared[place] == own) if len(shared) else parents.select(np.zeros(len(own), np.bool_))
    fresh = HeadList(table)
    for block in contents.blocks(key, child.pages[child.is_present & (child.states != SHARED)]):
        slots, numbers = scan_objects(table, block.words)
        fresh.add(block, slots, numbers)
    others = fresh.finish()
    addresses = np.concatenate((kept.addresses, others.addresses))
    order = np.argsort(addresses, kind="stable")
    return Heads(
        addresses=addresses[order],
        next=np.concatenate((kept.next, others.next))[order],
        previous=np.concatenate((kept.previous, others.previous))[order],
        numbers=np.concatenate((kept.numbers, others.numbers))[order],
    )


def _types(
    child: Member,
    comparison: Comparison,
    causes: npt.NDArray[np.uint8],
    tracked: TrackedPages,
    named: tuple[TypeTable, TypeNames],
) -> tuple[TypeWords, ...]:
    """Return the types whose words changed, most pages first.

    Of pages that a collection left as they were each live head counts as one word: it was written and restored.
    """
    table, names = named
    words = {cause: counts.copy() for cause, counts in comparison.words.items()}
    pages = {cause: counts.copy() for cause, counts in comparison.pages.items()}
    rewritten = np.zeros(len(tracked.live), np.bool_)
    rewritten[child.in_parent[(causes == GC) & (comparison.codes == IDENTICAL)]] = True
    if rewritten.any():
        chosen = rewritten[tracked.places] & tracked.is_counted
        size = len(table)
        words["gc"] += np.bincount(tracked.numbers[chosen], minlength=size)
        pages["gc"] += np.bincount(tracked.numbers[chosen & tracked.is_first], minlength=size)
    found = [
        TypeWords(
            type=names.name(table.types[number]),
            cause=cause,
            word_count=int(words[cause][number]),
            page_count=int(pages[cause][number]),
        )
        for cause in words
        for number in np.flatnonzero(words[cause]).tolist()
    ]
    if comparison.cache_words:
        caches = comparison.cache_words, comparison.cache_pages
        found.append(TypeWords(type=INLINE_CACHES, cause="data", word_count=caches[0], page_count=caches[1]))
    return tuple(sorted(found, key=lambda one: (-one.page_count, -one.word_count, one.type)))


def leave_out_unstable(tables: AnonymousTables, members: Sequence[Member | None], told: FamilyContents) -> None:
    """Make the cause of those copies unknown that, or whose originals, are not mapped any more as when compared."""
    for elder in members:
        if elder is None or not any(child.position in told.workers for child in elder.children):
            continue
        theirs = tables.find_changed(elder.position, elder.pages[elder.is_present], elder.frames[elder.is_present])
        is_moved = np.zeros(len(elder.pages), np.bool_)
        if theirs is not None:
            is_moved[elder.is_present] = theirs
        for child in elder.children:
            explanation = told.workers.get(child.position)
            if explanation is not None:
                at = np.flatnonzero(child.states == COPIED)
                mine = tables.find_changed(child.position, child.pages[at], child.frames[at])
                moved = at[is_moved[child.in_parent[at]] if mine is None else mine | is_moved[child.in_parent[at]]]
                explanation.causes[moved] = UNKNOWN
                explanation.comparison.codes[moved] = UNREAD
                explanation.unstable_count = len(moved)
