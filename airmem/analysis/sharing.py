"""With whom a tree's processes share their pages, by joining page tables on physical page frames.

A forked process maps mostly the same frames at the same addresses as its parent, so each table is first compared
with its parent's word by word, in the order of memory; only where they differ are frames looked up in an index. Of
these most are its own copies: where as many pages as its USS has say that nobody else maps them, they are only counted.
"""

from __future__ import annotations

import numpy as np

from airmem.analysis.frames import FrameIndex
from airmem.model.pages import EXCLUSIVE, FILE_OR_SHARED, FRAME_MASK, PRESENT, PageTable
from airmem.model.sharing import Sharing, TreeSharing
from airmem.units import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy.typing as npt

    from airmem.model.page_tables import PageTables

LOOKS = 3
"""How often a process is read again whose pages and RSS do not agree, because it changed in between."""

FRAMES = np.uint64(FRAME_MASK)
ALONE = np.uint64(PRESENT | EXCLUSIVE)
"""Both bits are set in the word of a page that one process alone maps."""

ANONYMOUS_SHARED = np.uint64(FILE_OR_SHARED | EXCLUSIVE)
"""Neither bit is set in the word of an anonymous page that somebody else maps, too."""

HUGE_PAGES = 512
"""Pages of a huge page where a page is 4 KiB, the least that there are."""

NO_WORD = np.uint64((1 << 64) - 1)
"""Stands for a word that is not expected: no frame has that number."""

Words: TypeAlias = "npt.NDArray[np.uint64]"
Flags: TypeAlias = "npt.NDArray[np.bool_]"
Positions: TypeAlias = "npt.NDArray[np.int64]"


class _Member:
    """One process while its tree is joined.

    `cells` index the frames that it does not map at the same address as its parent, `positions` where their words
    are; of `lone_pages`, which nobody else maps, neither is kept. `equal` has stretches of its parent's words and which
    of them equal its own. Kept while there are children to come: `counted`, `seen`, whether RSS counts a word and
    whether a child has it; `expected`, the words of a child that shares all that is counted.
    """

    def __init__(
        self,
        table: PageTable,
        positions: Positions,
        cells: npt.NDArray[np.int32],
        lone_pages: int,
        equal: list[tuple[slice, Flags]],
    ) -> None:
        self.table = table
        self.positions = positions
        self.cells = cells
        self.lone_pages = lone_pages
        self.equal = equal
        self.equal_pages = sum(int(np.count_nonzero(flags)) for _, flags in equal)
        self.parent_pages = 0
        self.is_suspect: Flags | None = None
        self.counted: Flags | None = None
        self.seen: Flags | None = None
        self.expected: Words | None = None

    @property
    def pages(self) -> int:
        return self.equal_pages + self.lone_pages + len(self.cells)


def attribute_sharing(tables: PageTables, parents: list[int | None], with_exclusive: bool = False) -> TreeSharing:
    """Return with whom each process shares its resident bytes, and the tree's pages counted once.

    `parents` holds the position of each process's parent in the tree, None for the root: parents come first, the
    children of one parent together. A zero page belongs to nobody and is left out, as the kernel leaves it out of
    RSS. A page that a process maps twice counts twice, as it does in RSS, and once among the distinct pages (twice if
    nobody else maps it, it is part of a large folio, and the kernel counts no mappings of single pages,
    CONFIG_NO_PAGE_MAPCOUNT). When the kernel moves pages meanwhile (compaction), their frames do not match any more;
    then the whole tree is looked at again.
    """
    best = _Join(tables, parents, with_exclusive).run()
    for _ in range(LOOKS - 1):
        if not best.stray_bytes:
            break
        best = min(best, _Join(tables, parents, with_exclusive).run(), key=lambda sharing: sharing.stray_bytes)
    return best


class _Join:
    def __init__(self, tables: PageTables, parents: list[int | None], with_exclusive: bool) -> None:
        self._tables = tables
        self._parents = parents
        self._last_child = {parent: child for child, parent in enumerate(parents) if parent is not None}
        self._with_exclusive = with_exclusive
        self._index = FrameIndex(with_exclusive)
        self._members: list[_Member | None] = []
        self._lone_pages = 0
        self._unsettled: dict[int, int] = {}

    def run(self) -> TreeSharing:
        marked: int | None = None
        for position, parent in enumerate(self._parents):
            elder = None if parent is None else self._members[parent]
            if parent is not None and parent != marked and elder is not None:
                self._prepare(elder)
                marked = parent
            member = self._look(position, elder) if parent is None or elder is not None else None
            self._members.append(member)
            if member is not None:
                self._add(member, elder)
            self._release(position, parent)
        return self._result()

    def _prepare(self, elder: _Member) -> None:
        """Get a process ready for its children to be compared with it."""
        elder.counted = self._is_counted(elder.table.words)
        elder.expected = elder.table.words.copy()
        elder.expected[~elder.counted & (elder.table.words.view(np.int64) < 0)] = NO_WORD
        elder.seen = np.zeros(len(elder.table.words), np.bool_)
        self._index.mark(self._place(elder.table.words[elder.counted]))

    def _look(self, position: int, elder: _Member | None) -> _Member | None:
        """Read a process until its pages are as many as its RSS says, and compare it with its parent."""
        table = self._tables.read(position, elder.table if elder is not None else None)
        for look in range(LOOKS + 1):
            if table is None:
                return None
            member = self._compare(table, elder)
            surplus = member.pages * PAGE_BYTES - (table.account.rss_bytes or 0)
            if surplus == 0 or look == LOOKS:
                break
            table = self._look_closer(position, table)
        if surplus:
            self._unsettled[position] = surplus
        return member

    def _look_closer(self, position: int, table: PageTable) -> PageTable | None:
        """Read what the process maps beyond its parent's ranges; if that was read, read all of it again."""
        return self._tables.read(position, None) if table.is_complete else self._tables.complete(position, table)

    def _compare(self, table: PageTable, elder: _Member | None) -> _Member:
        different, equal = _differences(table, elder)
        positions = np.flatnonzero(different)
        words = table.words[positions]
        lone_pages = 0
        if not self._with_exclusive:
            others = words & ALONE != ALONE
            lone_pages = len(words) - int(np.count_nonzero(others))
            agrees = lone_pages * PAGE_BYTES == table.account.uss_bytes  # else it has changed since
            if agrees and not _has_huge(positions[~others], words[~others]):
                positions, words = positions[others], words[others]
            else:
                lone_pages = 0
        is_counted = self._is_counted(words)
        positions, words = positions[is_counted], words[is_counted]
        return _Member(table, positions, self._place(words), lone_pages, equal)

    def _add(self, member: _Member, elder: _Member | None) -> None:
        """Enter a process into the index; of its frames keep those that its parent does not map."""
        self._index.count(member.cells)
        self._lone_pages += member.lone_pages
        if self._with_exclusive:
            words = member.table.words
            self._index.count_mappings(self._place(words[self._is_counted(words)]))
        if elder is None or elder.seen is None:
            return
        for parents, flags in member.equal:
            elder.seen[parents] |= flags
        member.equal = []
        elsewhere = ~self._index.is_marked(member.cells)
        member.parent_pages = member.pages - member.lone_pages - int(np.count_nonzero(elsewhere))
        member.positions, member.cells = member.positions[elsewhere], member.cells[elsewhere]
        member.is_suspect = member.table.words[member.positions] & ANONYMOUS_SHARED == 0

    def _place(self, words: Words) -> npt.NDArray[np.int32]:
        return self._index.place((words & FRAMES).view(np.int64))

    def _is_counted(self, words: Words) -> Flags:
        """Tell which words are of a page that RSS counts: present, and neither of a device nor the zero page."""
        frames = words & FRAMES
        is_counted: Flags = (words.view(np.int64) < 0) & (frames < np.uint64(FrameIndex.LIMIT))
        for first, count in self._tables.zero_frames:
            distance = frames - np.uint64(first)  # a large number where the frame is a lower one
            is_counted &= distance >= np.uint64(count)
        return is_counted

    def _release(self, position: int, parent: int | None) -> None:
        """Let go of page tables that nobody will be compared with any more."""
        done = [position] if position not in self._last_child else []
        if parent is not None and self._last_child[parent] == position:
            done.append(parent)
        for one in done:
            member = self._members[one]
            if member is None:
                continue
            if member.seen is not None:
                self._index.count(member.cells[member.seen[member.positions]])  # stands for the children that map it
            self._tables.release(member.table)
            empty = np.zeros(0, np.uint64)
            member.table = PageTable(runs=(), words=empty, is_complete=False, account=member.table.account)
            member.counted = member.seen = member.expected = None
            member.positions = np.zeros(0, np.int64)

    def _result(self) -> TreeSharing:
        exclusive_bytes = None
        has_tables = any(one is not None for one in self._members)
        if self._with_exclusive and has_tables:
            frames, mappings = self._index.counted_frames()
            counts = self._tables.mapping_counts(frames)
            if counts is not None:
                exclusive_bytes = int(np.count_nonzero(counts <= mappings)) * PAGE_BYTES
        divided = [self._divide(position, one) for position, one in enumerate(self._members)]
        return TreeSharing(
            by_process=tuple(
                None if one is None else (sharing, one.table.account)
                for one, (sharing, _) in zip(self._members, divided, strict=True)
            ),
            distinct_bytes=(self._index.frame_count + self._lone_pages) * PAGE_BYTES if has_tables else None,
            exclusive_bytes=exclusive_bytes,
            unsettled=self._unsettled,
            stray_bytes=sum(stray_bytes for _, stray_bytes in divided),
        )

    def _divide(self, position: int, member: _Member | None) -> tuple[Sharing | None, int]:
        """Return with whom a process shares, and how much of that is stray (see _strays).

        Where more is shared than the kernel's sums allow, the process has changed.
        """
        if member is None:
            return None, 0
        account = member.table.account
        if account.rss_bytes is None or account.uss_bytes is None:
            return None, 0
        is_shared = self._index.is_shared(member.cells)
        parent_bytes = member.parent_pages * PAGE_BYTES
        siblings_bytes = int(np.count_nonzero(is_shared)) * PAGE_BYTES
        outside_bytes = account.rss_bytes - account.uss_bytes - parent_bytes - siblings_bytes
        if outside_bytes < 0:
            self._unsettled[position] = outside_bytes
        outside_bytes = max(0, outside_bytes)
        sharing = Sharing(parent_bytes=parent_bytes, siblings_bytes=siblings_bytes, outside_bytes=outside_bytes)
        return sharing, min(outside_bytes, _strays(member.is_suspect, is_shared))


def _strays(is_suspect: Flags | None, is_shared: Flags) -> int:
    """Return the bytes that a process seems to share with outsiders although they are anonymous.

    Not for the root, whose own parent is an outsider. Bit 56 tells of a huge page only what holds for its first page,
    so the kernel's own sums have the last word.
    """
    return 0 if is_suspect is None else int(np.count_nonzero(is_suspect & ~is_shared)) * PAGE_BYTES


def _has_huge(positions: Positions, words: Words) -> bool:
    """Tell whether a huge page may be among these: before Linux 6.11 its words all have its first page's bit 56."""
    frames = words & FRAMES
    heads = np.flatnonzero(frames[: 1 - HUGE_PAGES] % np.uint64(HUGE_PAGES) == 0)
    tails = heads + (HUGE_PAGES - 1)
    is_whole = (frames[tails] - frames[heads] == HUGE_PAGES - 1) & (
        positions[tails] - positions[heads] == HUGE_PAGES - 1
    )
    return bool(is_whole.any())


def _differences(table: PageTable, elder: _Member | None) -> tuple[Flags, list[tuple[slice, Flags]]]:
    """Tell which words of a child's table differ from its parent's, and which counted ones of the parent's it has, too.

    The latter are stretches of the parent's words with flags: there both map the same frame at the same address.
    Without a parent the words that differ are those of present pages.
    """
    if elder is None or elder.expected is None or elder.counted is None:
        return table.words.view(np.int64) < 0, []
    different = np.ones(len(table.words), np.bool_)
    equal = []
    for own, parents in _overlaps(table, elder.table):
        np.not_equal(table.words[own], elder.expected[parents], out=different[own])
        equal.append((parents, elder.counted[parents] > different[own]))
    return different, equal


def _overlaps(table: PageTable, other: PageTable) -> list[tuple[slice, slice]]:
    """Return the stretches of words of two tables that stand for the same pages."""
    if table.runs == other.runs:
        return [(slice(0, len(table.words)), slice(0, len(other.words)))]
    found = []
    own_at = 0
    for start, count in table.runs:
        other_at = 0
        for other_start, other_count in other.runs:
            low, high = max(start, other_start), min(start + count, other_start + other_count)
            if low < high:
                own, theirs = own_at + low - start, other_at + low - other_start
                found.append((slice(own, own + high - low), slice(theirs, theirs + high - low)))
            other_at += other_count
        own_at += count
    return found
