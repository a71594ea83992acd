"""Who copied: each process's anonymous pages compared with its own parent's, at the same addresses.

Where both map the same frame the page is still shared. Where the frames differ one of them has written since the fork.
The anon-exclusive flag of the frames tells which in one look (see model.anonymous): fork clears it on both sides, the
writer's copy has it. A process that forks clears it on its own copies as well; what remains doubtful then is settled by
whether a sibling maps the same frame (siblings cannot share what one of them copied) and by whether the process has
forked at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from airmem.model.pages import EXCLUSIVE, FRAME_MASK, PRESENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.anonymous import AddressRange, AnonymousPages, AnonymousTables

Flags = npt.NDArray[np.bool_]
Pages = npt.NDArray[np.int64]
States = npt.NDArray[np.uint8]

NEW, SHARED, COPIED, COPIED_BY_PARENT, FREED_BY_PARENT, SWAPPED = range(6)
"""States of a page of a process. NEW: its parent has none at this address. SHARED: its parent maps the same frame.
COPIED by itself. FREED_BY_PARENT: inherited, shared with siblings, and the parent has none any more. SWAPPED: it, or
its parent's, is swapped out, so that they cannot be compared."""

FORKED_RATIO = 0.5
"""A process whose new pages are for this part not exclusive has forked since it wrote them (see module)."""

DOUBT_RATIO = 0.01
"""Up to this part of the differing pages may rest on who forked rather than on flags for an answer to be exact."""

BUSY_RATIO = 0.05
"""A parent that wrote more than this part of the pages that a child copied has been at work since the fork."""

SAME_RATIO = 0.1
"""Processes of which more than this part of their common pages is mapped once, by both, are one address space; bit 56
of huge pages (see _by_bits) is the only reason why the part is not 0 elsewhere."""

PROBE_FRAMES = 256
"""So many frames are looked up where a part tells enough."""


@dataclass(slots=True, eq=False)
class Member:
    """One process of a family: its anonymous pages, ascending, and the state of each (the root's are all NEW).

    `in_parent` is each page's place among the parent's pages, -1 where it has none. `is_shared` tells where another
    process of the family maps the same frame, `is_joint` where a sibling does and the parent does not.
    `differing_count` and `doubtful_count` are pages whose frames differ, and those of them whose writer is inferred.
    `both_wrote_count` copied pages were written by the parent, too: whoever was first copied, the other one kept the
    original; None where flags do not tell. Where the writer is inferred these are at most so many: both have a page of
    their own, and one of the two may have kept the original. `is_parent_busy`: those are many. `is_same_memory`: it
    runs in its parent's memory (vfork), so that there is nothing to compare.
    """

    position: int
    parent: Member | None
    pages: Pages
    frames: Pages
    ranges: tuple[AddressRange, ...]
    is_mapped_once: Flags
    is_present: Flags
    states: States
    in_parent: npt.NDArray[np.int32]
    is_shared: Flags
    is_joint: Flags
    children: list[Member] = field(default_factory=list)
    differing_count: int = 0
    doubtful_count: int = 0
    both_wrote_count: int | None = None
    is_exact: bool = True
    is_parent_busy: bool = False
    is_same_memory: bool = False

    @property
    def certainty(self) -> str:
        """`exact` where flags of the kernel tell the writer, else `inferred`."""
        return "exact" if self.is_exact and self.doubtful_count <= DOUBT_RATIO * self.differing_count else "inferred"

    def pages_of(self, state: int) -> Pages:
        """Return the numbers of the pages in a state."""
        found: Pages = self.pages[self.states == state]
        return found


def attribute_writers(tables: AnonymousTables, parents: list[int | None], forked: list[bool]) -> list[Member | None]:
    """Return the family, each process with the states of its pages, None for those whose page table cannot be read.

    `parents` holds the position of each process's parent in the tree, None for the root: parents come first. `forked`
    tells who began with its parent's pages (and has not called exec since).
    """
    members: list[Member | None] = []
    for position, parent in enumerate(parents):
        read = tables.read(position)
        elder = None if parent is None or not forked[position] else members[parent]
        member = None if read is None else _meet(position, read, elder)
        members.append(member)
        if member is not None and elder is not None:
            elder.children.append(member)
    family = [one for one in members if one is not None]
    if tables.shows_frames:
        _by_frames(tables, family)
    else:
        _by_bits(family)
    return members


def _meet(position: int, read: AnonymousPages, elder: Member | None) -> Member:
    count = len(read.pages)
    is_present = read.words & np.uint64(PRESENT) != 0
    frames = (read.words & np.uint64(FRAME_MASK)).astype(np.int64)
    frames[~is_present] = 0
    once = read.words & np.uint64(EXCLUSIVE) != 0
    if read.huge is not None:
        once &= ~read.huge  # bit 56 speaks of a huge page's first page only, and writing splits it
    in_parent = np.full(count, -1, np.int32)
    if elder is not None and len(elder.pages):
        at = np.minimum(np.searchsorted(elder.pages, read.pages), len(elder.pages) - 1)
        hit = elder.pages[at] == read.pages
        in_parent[hit] = at[hit]
    return Member(
        position=position,
        parent=elder,
        pages=read.pages,
        frames=frames,
        ranges=read.ranges,
        is_mapped_once=once,
        is_present=is_present,
        states=np.full(count, NEW, np.uint8),
        in_parent=in_parent,
        is_shared=np.zeros(count, np.bool_),
        is_joint=np.zeros(count, np.bool_),
    )


def _compare(member: Member, elder: Member) -> tuple[Pages, Pages]:
    """Set what is clear at once; return the places, own and the parent's, of pages that both have."""
    own = np.flatnonzero(member.in_parent >= 0)
    theirs = member.in_parent[own].astype(np.int64)
    both = member.is_present[own] & elder.is_present[theirs]
    member.states[own[~both]] = SWAPPED
    member.states[~member.is_present] = SWAPPED
    return own[both], theirs[both]


def _by_frames(tables: AnonymousTables, family: list[Member]) -> None:
    differing: dict[int, tuple[Pages, Pages]] = {}
    for member in family:
        if member.parent is None:
            continue
        own, theirs = _compare(member, member.parent)
        is_same = member.frames[own] == member.parent.frames[theirs]
        if _is_same_memory(member, is_same, own, theirs):
            member.is_same_memory = True
            member.parent.children.remove(member)
            member.parent = None
            continue
        member.states[own[is_same]] = SHARED
        member.is_shared[own[is_same]] = True
        member.parent.is_shared[theirs[is_same]] = True
        differing[member.position] = (own[~is_same], theirs[~is_same])
    exclusive = _Exclusive(tables, family)
    for elder in family:
        if not elder.children:
            continue
        _find_siblings(elder)
        is_elders = _exclusive_of(elder, [differing[child.position][1] for child in elder.children], exclusive)
        for child in elder.children:
            own, theirs = differing[child.position]
            child.differing_count = len(own)
            child.is_exact = exclusive.is_known
            _settle(child, own, theirs, exclusive, is_elders[theirs])


class _Exclusive:
    """Which frames are exclusive to one address space (see model.anonymous), where that can be told."""

    def __init__(self, tables: AnonymousTables, family: list[Member]) -> None:
        self._tables = tables
        shared = [member.frames[member.states == SHARED][:PROBE_FRAMES] for member in family]
        probe = np.unique(np.concatenate(shared)) if shared else np.zeros(0, np.int64)
        self.is_known = tables.is_trusted(probe)

    def of(self, frames: Pages) -> Flags:
        """Tell of each frame."""
        if not self.is_known or not len(frames):
            return np.zeros(len(frames), np.bool_)
        order = np.argsort(frames, kind="stable")
        found = self._tables.find_exclusive(frames[order])
        told = np.zeros(len(frames), np.bool_)
        if found is not None:
            told[order] = found
        return told


def _exclusive_of(elder: Member, differing: list[Pages], exclusive: _Exclusive) -> Flags:
    """Tell which of a parent's pages at the places where children differ are exclusive to it; False elsewhere."""
    found = np.zeros(len(elder.pages), np.bool_)
    wanted = np.zeros(len(elder.pages), np.bool_)
    for places in differing:
        wanted[places] = True
    found[wanted] = exclusive.of(elder.frames[wanted])
    return found


def _is_same_memory(member: Member, is_same: Flags, own: Pages, theirs: Pages) -> bool:
    """Whether two processes are one address space: frames that each maps are mapped once in the whole system."""
    assert member.parent is not None  # noqa: S101  # as in _settle
    is_once = is_same & member.is_mapped_once[own] & member.parent.is_mapped_once[theirs]
    return bool(np.count_nonzero(is_once) > SAME_RATIO * len(own))


def _find_siblings(elder: Member) -> None:
    """Mark the pages that two children share and their parent does not; name those that it has freed."""
    places, frames, owners = [], [], []
    for number, child in enumerate(elder.children):
        apart = np.flatnonzero(child.is_present & (child.states != SHARED))
        places.append(apart)
        frames.append(child.frames[apart])
        owners.append(np.full(len(apart), number, np.int32))
    if not places or not sum(map(len, places)):
        return
    _, inverse, counts = np.unique(np.concatenate(frames), return_inverse=True, return_counts=True)
    joint = counts[inverse.reshape(-1)] > 1
    begin = 0
    for child, own in zip(elder.children, places, strict=True):
        mine = own[joint[begin : begin + len(own)]]
        begin += len(own)
        child.is_shared[mine] = child.is_joint[mine] = True
        child.states[mine[child.states[mine] == NEW]] = FREED_BY_PARENT


def _settle(member: Member, own: Pages, theirs: Pages, exclusive: _Exclusive, is_elders: Flags) -> None:
    """Name the writer of each page whose frames differ; `is_elders` tells where the parent's is exclusive."""
    if not exclusive.is_known:
        by_parent = _is_minority(member, own, theirs)
        member.doubtful_count = len(own)
    else:
        is_mine = exclusive.of(member.frames[own])
        rest = np.flatnonzero(~is_mine)
        by_parent = ~is_mine
        by_parent[rest] = is_elders[rest] | _is_in_another_line(member, own[rest])
        doubtful = ~is_mine & ~by_parent
        member.doubtful_count = int(np.count_nonzero(doubtful))
        if member.doubtful_count and not _has_forked(member, exclusive):
            by_parent |= doubtful
        member.both_wrote_count = int(np.count_nonzero(is_mine & is_elders))
        member.is_parent_busy = member.both_wrote_count > BUSY_RATIO * int(np.count_nonzero(is_mine))
        if member.certainty == "inferred":
            member.both_wrote_count += int(np.count_nonzero(doubtful & ~by_parent))
    member.states[own] = np.where(by_parent, COPIED_BY_PARENT, COPIED)


def _is_in_another_line(member: Member, own: Pages) -> Flags:
    """Tell where a sibling, or one of a sibling's descendants, maps the member's frame at the same address."""
    elder = member.parent
    assert elder is not None  # noqa: S101  # as in _settle
    found: Flags = member.is_joint[own].copy()
    pages, frames = member.pages[own], member.frames[own]
    for sibling in elder.children:
        for other in [] if sibling is member else _descendants(sibling):
            if not len(other.pages):
                continue
            at = np.minimum(np.searchsorted(other.pages, pages), len(other.pages) - 1)
            found |= (other.pages[at] == pages) & (other.frames[at] == frames)
    return found


def _descendants(member: Member) -> list[Member]:
    below = []
    for child in member.children:
        below += [child, *_descendants(child)]
    return below


def _has_forked(member: Member, exclusive: _Exclusive) -> bool:
    """Whether a process has forked since it wrote most of its new pages, by its children or by their flags."""
    if member.children:
        return True
    new = member.frames[(member.states == NEW) & member.is_present]
    new = new[:: max(1, len(new) // PROBE_FRAMES)]
    return bool(len(new) and np.mean(~exclusive.of(new)) > FORKED_RATIO)


def _is_minority(member: Member, own: Pages, theirs: Pages) -> Flags:
    """Tell where more lines of the family map the member's frame than its parent's: then the parent wrote."""
    elder = member.parent
    assert elder is not None  # noqa: S101  # as in _settle
    pages, mine, parents = member.pages[own], member.frames[own], elder.frames[theirs]
    with_member, with_parent = np.zeros(len(own), np.int32), np.ones(len(own), np.int32)
    for child in elder.children:
        if not len(child.pages):
            continue
        at = np.minimum(np.searchsorted(child.pages, pages), len(child.pages) - 1)
        here = child.pages[at] == pages
        with_member += here & (child.frames[at] == mine)
        with_parent += here & (child.frames[at] == parents)
    minority: Flags = np.greater(with_member, with_parent)
    return minority


def _by_bits(family: list[Member]) -> None:
    """Judge by which pages are mapped once only (bit 56), where frames are hidden; the writer is inferred.

    A page that a worker alone maps differs from its parent's: the worker copied it. One that the parent alone maps
    and the worker shares with others was written by the parent. Where parent and worker each have a page of their own,
    one of all who do kept the original and need not have written; it is taken for the parent.
    """
    for member in family:
        elder = member.parent
        member.is_exact = False
        if elder is None:
            continue
        own, theirs = _compare(member, elder)
        mine, parents = member.is_mapped_once[own], elder.is_mapped_once[theirs]
        member.states[own] = np.where(mine, COPIED, np.where(parents, COPIED_BY_PARENT, SHARED))
        member.differing_count = member.doubtful_count = int(np.count_nonzero(mine | parents))
        member.both_wrote_count = int(np.count_nonzero(mine & parents))
        member.is_parent_busy = member.both_wrote_count > BUSY_RATIO * int(np.count_nonzero(mine))
        apart = (member.states == NEW) & member.is_present & ~member.is_mapped_once
        if len(elder.children) > 1 and not member.children:
            member.states[apart] = FREED_BY_PARENT
    for member in family:
        member.is_shared = member.is_present & ~member.is_mapped_once
