"""The contents of a family put together: for each worker what caused its copies, and what the collector will copy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from airmem.analysis.causes import BLOCK_PAGES, Comparison, Line, compare_line
from airmem.analysis.collected import GC, find_collections, name_causes, of_parent, worker_state
from airmem.analysis.tracked import TrackedPages, find_tracked, read_frozen_ends
from airmem.analysis.words import IDENTICAL
from airmem.analysis.writers import SHARED, Member
from airmem.cpython.collector import Counters, read_counters
from airmem.cpython.heads import HeadList, Heads
from airmem.cpython.learn import TypeLearner, learn_types
from airmem.cpython.names import TypeNames
from airmem.cpython.objects import scan_objects
from airmem.errors import NotMeasurable, ProcessGone
from airmem.model.cow import TypeWords
from airmem.units import PAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airmem.cpython.types import Flags, TypeTable
    from airmem.model.contents import Contents, ProcessKey
    from airmem.model.cow import CollectorState

INLINE_CACHES = "builtins.code (inline caches)"


@dataclass(slots=True, eq=False)
class Explanation:
    """What contents tell of one worker. `causes` has a place in model.cow.CAUSES for each of its pages. `live` and
    `frozen` are flags of its pages that hold tracked objects, None where that cannot be told."""

    comparison: Comparison
    causes: npt.NDArray[np.uint8]
    live: Flags | None
    frozen: Flags | None
    collector: CollectorState | None
    types: tuple[TypeWords, ...]


@dataclass(slots=True, eq=False)
class FamilyContents:
    """All explanations by position, the collectors of those that have children, and why others have neither."""

    workers: dict[int, Explanation] = field(default_factory=dict)
    collectors: dict[int, CollectorState] = field(default_factory=dict)
    obstacles: dict[int, str] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)


def explain_family(
    contents: Contents, keys: Sequence[ProcessKey], members: list[Member | None], chosen: ChosenBlocks
) -> FamilyContents:
    """Return what the contents of a family's pages tell. `keys` go by position.

    Errors: ProcessGone when the root ends meanwhile; of others only what concerns them is missing.
    """
    found = FamilyContents()
    learners: dict[int, TypeLearner | None] = {}
    for elder in members:
        if elder is None or not elder.children:
            continue
        try:
            learner = _learn(contents, keys, elder, learners, found)
            _explain_line(contents, keys, elder, learner, chosen, found)
        except ProcessGone:
            if elder.position == 0:
                raise
            found.gone.add(elder.position)
    return found


class ChosenBlocks:
    """Which blocks of a parent's pages are looked at: all of them."""

    def of(self, block_count: int) -> npt.NDArray[np.bool_]:
        """Return a flag for each block."""
        return np.ones(block_count, np.bool_)


def _learn(
    contents: Contents,
    keys: Sequence[ProcessKey],
    elder: Member,
    learners: dict[int, TypeLearner | None],
    found: FamilyContents,
) -> TypeLearner | None:
    """Return what knows the types of a process, the same for all that descend from one by forks alone."""
    top = elder
    while top.parent is not None:
        top = top.parent
    if top.position not in learners:
        try:
            learners[top.position] = learn_types(contents, keys[top.position], top.pages[top.is_present])
        except NotMeasurable as problem:
            learners[top.position] = None
            found.obstacles[top.position] = problem.cause
    return learners[top.position]


def _explain_line(
    contents: Contents,
    keys: Sequence[ProcessKey],
    elder: Member,
    learner: TypeLearner | None,
    chosen: ChosenBlocks,
    found: FamilyContents,
) -> None:
    table = None if learner is None else learner.table()
    block_count = -(-len(elder.pages) // BLOCK_PAGES)
    line = compare_line(contents, keys, elder, table, chosen.of(block_count))
    if learner is None or table is None or line.heads is None:
        for child in elder.children:
            found.workers[child.position] = _unexplained(line.comparisons[child.position])
        return
    tracked = find_tracked(contents, keys[elder.position], learner, line.heads, elder.pages)
    if tracked.state is not None:
        found.collectors[elder.position] = tracked.state
    names = TypeNames(contents, keys[elder.position])
    frozen_alike = {tracked.frozen_ends: tracked}
    for child in elder.children:
        try:
            theirs = _tracked_of(contents, keys, child, line, (learner, table), tracked, frozen_alike)
            counters = _counters(contents, keys[child.position], tracked)
        except ProcessGone:
            found.gone.add(child.position)
            continue
        comparison = line.comparisons[child.position]
        ran = find_collections(child, theirs, counters)
        causes = name_causes(child, comparison, theirs, ran)
        found.workers[child.position] = Explanation(
            comparison=comparison,
            causes=causes,
            live=of_parent(child, theirs.live) if theirs.collector else None,
            frozen=of_parent(child, theirs.frozen) if theirs.collector else None,
            collector=worker_state(theirs, counters, tracked.counters),
            types=_types(child, comparison, causes, theirs, (table, names)),
        )


def _unexplained(comparison: Comparison) -> Explanation:
    causes = np.full(len(comparison.codes), 3, np.uint8)
    return Explanation(comparison=comparison, causes=causes, live=None, frozen=None, collector=None, types=())


def _counters(contents: Contents, key: ProcessKey, tracked: TrackedPages) -> Counters | None:
    return None if tracked.collector is None else read_counters(contents, key, tracked.collector)


def _tracked_of(
    contents: Contents,
    keys: Sequence[ProcessKey],
    child: Member,
    line: Line,
    types: tuple[TypeLearner, TypeTable],
    tracked: TrackedPages,
    frozen_alike: dict[bytes, TrackedPages],
) -> TrackedPages:
    """Return the tracked pages as a child has them: its parent's, unless one of them froze or unfroze after the fork.

    Then the child's own heads are looked at, once for all children that froze the same.
    """
    if tracked.collector is None:
        return tracked
    key = keys[child.position]
    ends = read_frozen_ends(contents, key, tracked.collector)
    if ends not in frozen_alike:
        learner, table = types
        assert line.heads is not None  # noqa: S101  # the caller has seen to it
        heads = _heads_of(contents, key, child, line.heads, table)
        frozen_alike[ends] = find_tracked(contents, key, learner, heads, line.elder.pages)
    return frozen_alike[ends]


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

    Of pages that a collection left as they were, each live head counts as one word: the collector wrote and restored it.
    """
    table, names = named
    words = {cause: counts.copy() for cause, counts in comparison.words.items()}
    pages = {cause: counts.copy() for cause, counts in comparison.pages.items()}
    rewritten = np.zeros(len(tracked.live), np.bool_)
    rewritten[child.in_parent[(causes == GC) & (comparison.codes == IDENTICAL)]] = True
    if rewritten.any():
        chosen = rewritten[tracked.places]
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
