"""Which pages of a tree's processes to look at, so that a page that fork shares is looked at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from airmem.model.anonymous import AddressRange
from airmem.model.contents import ProcessKey
from airmem.model.pages import EXCLUSIVE, FRAME_MASK, PRESENT
from airmem.units import PAGE_BYTES

Pages = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeapMember:
    """One process of a tree: its identity, the position of its parent (None: the root), and its anonymous pages.

    `pages` (n,) int64 are page numbers, ascending; `words` (n,) uint64 their pagemap words. `spans` (m, 2) int64 are
    the addresses of its mappings (begin, end), ascending, those without a gap between them as one.
    """

    key: ProcessKey
    parent: int | None
    pages: Pages
    words: npt.NDArray[np.uint64]
    spans: npt.NDArray[np.int64]


def find_spans(ranges: Sequence[AddressRange]) -> npt.NDArray[np.int64]:
    """Return the mappings of a process (ascending) as HeapMember has them."""
    spans: list[list[int]] = []
    for one in ranges:
        if spans and one.start_address == spans[-1][1]:
            spans[-1][1] = one.end_address
        else:
            spans.append([one.start_address, one.end_address])
    return np.array(spans, np.int64).reshape(-1, 2)


def within(spans: npt.NDArray[np.int64], addresses: Pages, at: Pages, sizes: Pages) -> tuple[Pages, Pages]:
    """Return `at` and `sizes` without those objects (at ascending addresses) that would end beyond their mapping.

    These are no objects, or were just changing: their size is not a size.
    """
    large = np.flatnonzero(sizes >= PAGE_BYTES)
    place = np.searchsorted(spans[:, 0], addresses.take(large), side="right") - 1
    wrong = large[addresses.take(large) + sizes.take(large) > spans[:, 1].take(place, mode="clip")]
    return (np.delete(at, wrong), np.delete(sizes, wrong)) if len(wrong) else (at, sizes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Share:
    """What one process holds. `pages` (n,) int64: the page numbers that are looked at in its memory, since no process
    before it has the same frame there. `used_by`: position of another process -> (n,) bool, which of them that one maps
    as well. `is_inherited` (n,) bool: a process that does not descend from it maps it as well, so that both have it
    from a common ancestor which has written its own since."""

    pages: Pages
    used_by: dict[int, Flags] = field(default_factory=dict)
    is_inherited: Flags


def divide_pages(members: Sequence[HeapMember], shows_frames: bool) -> tuple[Share, ...]:
    """Return for each process which pages to look at in its memory, parents before children.

    With page frame numbers this is exact. Without, a page that neither a process nor its parent maps exclusively is
    taken for the same, and one that only the parent has written since (it maps its own exclusively) is looked at in
    each child.
    """
    holders: list[npt.NDArray[np.int32]] = []
    places: list[npt.NDArray[np.int64]] = []
    present = [_present(one) for one in members]
    strays = _Strays()
    owns: list[Flags] = []
    for position, one in enumerate(members):
        pages, words = present[position]
        holder = np.full(len(pages), position, np.int32)
        place = np.zeros(len(pages), np.int64)
        if one.parent is not None:
            at, is_same = _same_as_parent(present[position], present[one.parent], shows_frames)
            holder[is_same] = holders[one.parent].take(at[is_same])
            place[is_same] = places[one.parent].take(at[is_same])
        is_own = holder == position
        if shows_frames and position:
            known, whose, where = strays.find(pages[is_own], words[is_own] & np.uint64(FRAME_MASK))
            at = np.flatnonzero(is_own)
            holder[at[known]], place[at[known]] = whose[known], where[known]
            is_own = holder == position
        place[is_own] = np.arange(np.count_nonzero(is_own))
        if shows_frames and position:
            strays.add(pages[is_own], words[is_own] & np.uint64(FRAME_MASK), position)
        holders.append(holder)
        places.append(place)
        owns.append(is_own)
    return _shares(members, [pages for pages, _ in present], holders, places, owns)


def _present(one: HeapMember) -> tuple[Pages, npt.NDArray[np.uint64]]:
    is_present = one.words & np.uint64(PRESENT) != 0
    return one.pages[is_present], one.words[is_present]


def _same_as_parent(
    own: tuple[Pages, npt.NDArray[np.uint64]], parents: tuple[Pages, npt.NDArray[np.uint64]], shows_frames: bool
) -> tuple[Pages, Flags]:
    """Return where each page stands among the parent's, and whether both map the same frame there."""
    pages, words = own
    parent_pages, parent_words = parents
    if not len(parent_pages):
        return np.zeros(len(pages), np.int64), np.zeros(len(pages), np.bool_)
    at = np.minimum(np.searchsorted(parent_pages, pages), len(parent_pages) - 1)
    others = parent_words.take(at)
    is_same = parent_pages.take(at) == pages
    if shows_frames:
        is_same &= ((words ^ others) & np.uint64(FRAME_MASK)) == 0
    else:
        is_same &= ((words | others) & np.uint64(EXCLUSIVE)) == 0
    return at, is_same


class _Strays:
    """Frames that children hold, so that a sibling's are found again when the parent has written its own."""

    def __init__(self) -> None:
        self._known: list[tuple[npt.NDArray[np.uint64], Pages, Pages, int]] = []

    def add(self, pages: Pages, frames: npt.NDArray[np.uint64], position: int) -> None:
        """Remember the frames of the pages that a process holds, in their order."""
        if len(frames):
            order = np.argsort(frames)
            self._known.append((frames[order], pages[order], order.astype(np.int64), position))

    def find(
        self, pages: Pages, frames: npt.NDArray[np.uint64]
    ) -> tuple[Flags, npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return which frames are known at the same pages, who holds each, and as which of its pages."""
        is_known = np.zeros(len(frames), np.bool_)
        whose = np.zeros(len(frames), np.int32)
        where = np.zeros(len(frames), np.int64)
        for known, known_pages, order, position in self._known:
            at = np.minimum(np.searchsorted(known, frames), len(known) - 1)
            is_it = (known.take(at) == frames) & (known_pages.take(at) == pages)
            whose[is_it], where[is_it] = position, order.take(at[is_it])
            is_known |= is_it
        return is_known, whose, where


def _shares(
    members: Sequence[HeapMember],
    pages: list[Pages],
    holders: list[npt.NDArray[np.int32]],
    places: list[npt.NDArray[np.int64]],
    owns: list[Flags],
) -> tuple[Share, ...]:
    shares = [
        Share(pages=pages[position][is_own], is_inherited=np.zeros(np.count_nonzero(is_own), np.bool_))
        for position, is_own in enumerate(owns)
    ]
    for position, holder in enumerate(holders):
        for one in np.unique(holder).tolist():
            if one == position:
                continue
            used = np.zeros(len(shares[one].pages), np.bool_)
            used[places[position][holder == one]] = True
            shares[one].used_by[position] = used
            if not _descends(members, position, one):
                np.logical_or(shares[one].is_inherited, used, out=shares[one].is_inherited)
    return tuple(shares)


def _descends(members: Sequence[HeapMember], position: int, ancestor: int) -> bool:
    """Whether a process descends from another."""
    at: int | None = position
    while at is not None and at != ancestor:
        at = members[at].parent
    return at is not None
