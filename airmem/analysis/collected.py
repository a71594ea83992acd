"""Whether a collection copied pages, and so what was the cause of those that look the same as before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from airmem.analysis.causes import UNCOMPARED
from airmem.analysis.words import COUNTS, HEADS, IDENTICAL, OTHER
from airmem.analysis.writers import COPIED, COPIED_BY_PARENT, SHARED
from airmem.model.cow import CAUSES
from airmem.model.noun import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.causes import Comparison
    from airmem.analysis.tracked import TrackedPages
    from airmem.analysis.writers import Member
    from airmem.cpython.collector import Counters
    from airmem.cpython.types import Flags
    from airmem.model.cow import CollectorState

GC, REFCOUNT, DATA, UNKNOWN = range(4)
assert tuple(CAUSES) == ("gc", "refcount", "data", "unknown")  # noqa: S101  # the order that the numbers stand for

COLLECTED_RATIO = 0.97
"""A collection writes into every head that it visits: so much of the inherited pages with tracked objects are copied
after one (1.00 measured; a walk over a part of the objects 0.21, an idle worker 0.015)."""

LEAST_PAGES = 64
"""Of fewer pages a ratio says nothing."""

QUIET_RATIO = 0.05
"""A parent that wrote more than this part of its tracked pages after the fork may have collected, too: then its counter
is not the one at the fork, and cannot refute that a worker collected."""

LEAST_TYPE_PAGES, TYPE_RATIO = 16, 0.9
"""Where no counter tells, a collection is one only if it copied this part of the pages of every type that lies on so
many: it visits all objects. Who walks over data, however many there are, leaves descriptors and functions alone."""


@dataclass(slots=True, eq=False)
class Ran:
    """Whether a full collection, and one of the younger generations, ran in a process after its fork."""

    full: bool
    young: bool


def find_collections(member: Member, tracked: TrackedPages, counters: Counters | None) -> Ran:
    """Return what ran in a worker: told by how many of the tracked pages it copied, and by its collector's counters."""
    return Ran(
        full=_ran(member, tracked, tracked.live, counters, (2,)),
        young=_ran(member, tracked, tracked.young, counters, (0, 1)),
    )


def _ran(
    member: Member, tracked: TrackedPages, pages: Flags, counters: Counters | None, generations: tuple[int, ...]
) -> bool:
    on_tracked = of_parent(member, pages)
    mine = on_tracked & ((member.states == COPIED) | (member.states == SHARED))
    count = int(np.count_nonzero(mine))
    if count < LEAST_PAGES or np.count_nonzero(mine & (member.states == COPIED)) < COLLECTED_RATIO * count:
        return False
    before = tracked.counters.collections if tracked.counters else None
    after = counters.collections if counters else None
    if before is None or after is None:
        return True
    more = sum(after[number] - before[number] for number in generations)
    if more != 0:
        return True  # fewer than its parent: the parent has collected since
    theirs = np.count_nonzero(on_tracked & (member.states == COPIED_BY_PARENT)) > QUIET_RATIO * count
    return (bool(theirs) or member.is_parent_busy) and _spares_no_type(member, tracked, mine)


def _spares_no_type(member: Member, tracked: TrackedPages, mine: Flags) -> bool:
    """Tell whether the pages of each type were copied; `mine` are the member's pages that count."""
    state_of = np.full(len(tracked.live), SHARED, np.uint8)
    is_mine = np.zeros(len(tracked.live), np.bool_)
    state_of[member.in_parent[mine]] = member.states[mine]
    is_mine[member.in_parent[mine]] = True
    firsts = tracked.is_first & is_mine[tracked.places]
    numbers = tracked.numbers[firsts]
    page_counts = np.bincount(numbers)
    copied_counts = np.bincount(numbers, state_of[tracked.places[firsts]] == COPIED)
    many = page_counts >= LEAST_TYPE_PAGES
    return bool((copied_counts[many] >= TYPE_RATIO * page_counts[many]).all())


def of_parent(member: Member, flags: Flags) -> Flags:
    """Return flags of the parent's pages for a process's own pages; False where the parent has none."""
    found = np.zeros(len(member.pages), np.bool_)
    has = member.in_parent >= 0
    found[has] = flags[member.in_parent[has]]
    return found


def name_causes(
    member: Member, comparison: Comparison, tracked: TrackedPages | None, ran: Ran
) -> npt.NDArray[np.uint8]:
    """Return the cause of each page (a place in CAUSES), UNKNOWN for those that are not copied or were not compared."""
    codes = comparison.codes
    causes = np.full(len(codes), UNKNOWN, np.uint8)
    causes[codes == OTHER] = DATA
    causes[codes == COUNTS] = REFCOUNT
    causes[codes == HEADS] = GC
    same = codes == IDENTICAL
    if tracked is None or tracked.collector is None:
        return causes  # what looks the same may be either
    explained = np.zeros(len(codes), np.bool_)
    if ran.full:
        explained |= of_parent(member, tracked.live)
    if ran.young:
        explained |= of_parent(member, tracked.young)
    causes[same] = np.where(explained[same], GC, REFCOUNT)
    return causes


def was_compared(comparison: Comparison) -> Flags:
    """Tell which pages were looked at."""
    looked: Flags = comparison.codes != UNCOMPARED
    return looked


def worker_state(tracked: TrackedPages, counters: Counters | None, parents: Counters | None) -> CollectorState | None:
    """Return the collector of a worker: the lists as `tracked` has them, with its own counters."""
    if tracked.state is None:
        return None
    own = counters.collections if counters else None
    before = parents.collections if parents else None
    return replace(
        tracked.state,
        full_collection_count=None if own is None else own[2],
        full_since_fork_count=None if own is None or before is None else max(0, own[2] - before[2]),
    )
