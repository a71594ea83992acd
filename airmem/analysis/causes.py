"""Why pages were copied: copies compared with originals that the family still maps, one block of pages at a time.

The originals of each parent go by once for all its children; of what goes by only the collector's heads are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from airmem.analysis.inline_caches import CodeRanges
from airmem.analysis.words import AHEAD_WORDS, UNREAD, compare_pages
from airmem.analysis.writers import COPIED, COPIED_BY_PARENT, SHARED, Member
from airmem.cpython.heads import HeadList
from airmem.cpython.objects import scan_objects
from airmem.cpython.pools import count_pages_with_free_blocks
from airmem.errors import NotPermitted, ProcessGone
from airmem.model.contents import PageBlock
from airmem.units import MIB, PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from airmem.analysis.fraction import Fraction
    from airmem.analysis.words import Changes
    from airmem.cpython.heads import Heads
    from airmem.cpython.types import TypeTable, Words
    from airmem.model.contents import Contents, ProcessKey

BLOCK_PAGES = MIB // PAGE_BYTES
WORDS_PER_PAGE = PAGE_BYTES // 8
UNREADABLE = (ProcessGone, NotPermitted)
"""Why the contents of one process of a family cannot be read, while those of others can."""

UNCOMPARED = 255
"""The code of a page that was not compared: it is not copied, or not among those chosen."""

Codes: TypeAlias = npt.NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class Comparison:
    """What was seen of one process's copies: for each of its pages a code of analysis.words and a kind of other words.

    `types` is for each page the number of the type of which most words changed, -1 where none is known; None unless it
    was asked for. `words` and `pages` count, by cause (COUNTS, HEADS) and type number, changed words and the pages they
    lie on. `cache_words` and `cache_pages` count words within code objects.
    """

    codes: Codes
    kinds: Codes
    words: dict[str, npt.NDArray[np.int64]]
    pages: dict[str, npt.NDArray[np.int64]]
    cache_words: int = 0
    cache_pages: int = 0
    types: npt.NDArray[np.int32] | None = None

    def add(self, at: npt.NDArray[np.int64], changes: Changes) -> None:
        """Take the changes of a block whose pages have these places among the process's."""
        self.codes[at] = changes.codes
        self.kinds[at] = changes.kinds
        for cause, (page, number) in (("refcount", changes.counts), ("gc", changes.heads)):
            if not len(page):
                continue
            size = len(self.words[cause])
            self.words[cause] += np.bincount(number, minlength=size)
            pairs = np.unique(page * size + number)
            self.pages[cause] += np.bincount(pairs % size, minlength=size)
            if self.types is not None:
                set_most_common(self.types, at[page], number, size)


def set_most_common(
    types: npt.NDArray[np.int32],
    places: npt.NDArray[np.signedinteger],
    numbers: npt.NDArray[np.signedinteger],
    type_count: int,
) -> None:
    """Set the type at each of these places to the one that occurs there most; `places` and `numbers` are parallel."""
    pairs, counts = np.unique(places.astype(np.int64) * type_count + numbers, return_counts=True)
    pairs = pairs[np.argsort(counts, kind="stable")]
    types[pairs // type_count] = pairs % type_count  # of several for one place the last counts


@dataclass(slots=True, eq=False)
class Line:
    """A parent with its children while its pages go by; afterwards `heads` are all of its heads, and `hole_pages`
    how many of its pages are in pools with free blocks."""

    elder: Member
    comparisons: dict[int, Comparison]
    heads: Heads
    hole_pages: int = 0


def compare_line(
    contents: Contents,
    keys: Sequence[ProcessKey],
    elder: Member,
    table: TypeTable,
    fraction: Fraction,
    *,
    with_page_types: bool = False,
) -> Line:
    """Return what differs between a parent's pages and its children's copies, and the parent's heads.

    `keys` go by position in the tree. `fraction` of the copies is read. Errors: ProcessGone when the parent ends.
    """
    stream = _Stream(contents, keys, elder, table, fraction)
    comparisons = {child.position: start_comparison(child, len(table)) for child in elder.children}
    if with_page_types:
        for child in elder.children:
            comparisons[child.position].types = np.full(len(child.pages), -1, np.int32)
    for first in range(0, len(elder.pages), BLOCK_PAGES):
        stream.take(first, comparisons)
    return Line(elder, comparisons, stream.finish(), stream.hole_pages)


def start_comparison(child: Member, type_count: int = 0) -> Comparison:
    """Return a comparison of a process of which nothing has been compared."""
    return Comparison(
        codes=np.full(len(child.pages), UNCOMPARED, np.uint8),
        kinds=np.zeros(len(child.pages), np.uint8),
        words={cause: np.zeros(type_count, np.int64) for cause in ("refcount", "gc")},
        pages={cause: np.zeros(type_count, np.int64) for cause in ("refcount", "gc")},
    )


class _Stream:
    """Lets the pages of a parent go by, and beside them the copies of its children."""

    def __init__(
        self,
        contents: Contents,
        keys: Sequence[ProcessKey],
        elder: Member,
        table: TypeTable,
        fraction: Fraction,
    ) -> None:
        self._contents = contents
        self._keys = keys
        self._elder = elder
        self._table = table
        self._heads = HeadList(table)
        self._codes = CodeRanges(table)
        self._own = np.empty(BLOCK_PAGES * WORDS_PER_PAGE, np.uint64)
        self._copy = np.empty(BLOCK_PAGES * WORDS_PER_PAGE, np.uint64)
        self._holders = find_holders(elder)
        self._readers = find_readers(elder, lambda position: contents.is_at_work(keys[position]))
        self._with_heads = fraction.with_heads
        self._copied = []
        for child in elder.children:
            at = fraction.choose(np.flatnonzero(child.states == COPIED))
            self._copied.append((child, at, child.in_parent[at].astype(np.int64)))
        self._is_gone: set[int] = set()
        self.hole_pages = 0

    def take(self, first: int, comparisons: dict[int, Comparison]) -> None:
        """Read one block of the parent's pages, and compare the children's copies of them."""
        last = min(first + BLOCK_PAGES, len(self._elder.pages))
        places = first + np.flatnonzero(self._elder.is_present[first:last])
        if not self._with_heads:
            places = self._wanted_of(first, last)
        pages = self._elder.pages[places]
        if not len(pages):
            return
        words = self._own[: len(pages) * WORDS_PER_PAGE]
        originals = words.reshape(-1, WORDS_PER_PAGE)
        is_read = self._read_originals(places, pages, originals)
        if self._with_heads:
            slots, numbers = scan_objects(self._table, words)
            block = PageBlock(pages=pages, words=words, is_read=is_read)
            self._heads.add(block, slots, numbers)
            self._codes.add(block, slots, numbers)
            self.hole_pages += count_pages_with_free_blocks(pages, originals)
        ahead = None
        for child, at, theirs in self._copied:
            low, high = np.searchsorted(theirs, (first, last))
            if low == high:
                continue
            if ahead is None:
                ahead = self._look_ahead(pages, originals)
                originals = self._with_holders(places, originals, is_read)
            rows = np.searchsorted(places, theirs[low:high])
            self._compare(child, at[low:high], (originals[rows], ahead[rows], is_read[rows]), comparisons)

    def _read_originals(
        self, places: npt.NDArray[np.int64], pages: npt.NDArray[np.int64], originals: Words
    ) -> npt.NDArray[np.bool_]:
        """Read the parent's pages with these places from whoever may be read; return which could be."""
        readers = self._readers[places]
        is_read = np.zeros(len(pages), np.bool_)
        for position in np.unique(readers).tolist():
            rows = np.flatnonzero(readers == position)
            words = self._copy[: len(rows) * WORDS_PER_PAGE]
            is_read[rows] = self._fill_from(position, pages[rows], words)
            originals[rows] = words.reshape(-1, WORDS_PER_PAGE)
        return is_read

    def _fill_from(self, position: int, pages: npt.NDArray[np.int64], words: Words) -> npt.NDArray[np.bool_]:
        """Read pages from a process of the line; from the parent when it ends. Errors: ProcessGone of the parent."""
        try:
            return self._contents.fill(self._keys[position], pages, words)
        except UNREADABLE:
            if position == self._elder.position:
                raise
            self._readers[self._readers == position] = self._elder.position
            return self._contents.fill(self._keys[self._elder.position], pages, words)

    def _wanted_of(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """Return the places, from `first` to before `last`, of the parent's pages that chosen copies come from."""
        parts = [theirs[slice(*np.searchsorted(theirs, (first, last)))] for _, _, theirs in self._copied]
        return np.unique(np.concatenate(parts))

    def _compare(
        self,
        child: Member,
        at: npt.NDArray[np.int64],
        before: tuple[Words, Words, npt.NDArray[np.bool_]],
        comparisons: dict[int, Comparison],
    ) -> None:
        originals, ahead, was_read = before
        if child.position in self._is_gone:
            return
        copies = self._copy[: len(at) * WORDS_PER_PAGE]
        try:
            is_read = self._contents.fill(self._keys[child.position], child.pages[at], copies)
        except UNREADABLE:
            self._is_gone.add(child.position)
            return
        changes = compare_pages(self._table, originals, copies.reshape(-1, WORDS_PER_PAGE), ahead)
        changes.codes[~(is_read & was_read)] = UNREAD
        comparison = comparisons[child.position]
        comparison.add(at, changes)
        if len(changes.others[0]):
            page, word = changes.others
            addresses = child.pages[at].take(page) * PAGE_BYTES + word * 8
            in_code = self._codes.contain(addresses)
            comparison.cache_words += int(np.count_nonzero(in_code))
            comparison.cache_pages += len(np.unique(page[in_code]))

    def _with_holders(self, places: npt.NDArray[np.int64], originals: Words, is_read: npt.NDArray[np.bool_]) -> Words:
        """Return the block with the originals of those pages that the parent itself has written, from who has them."""
        holders = self._holders[places]
        if not (holders >= 0).any():
            return originals
        replaced: Words = originals.copy()
        for position in np.unique(holders[holders >= 0]).tolist():
            rows = np.flatnonzero(holders == position)
            words = self._copy[: len(rows) * WORDS_PER_PAGE]
            try:
                is_read[rows] &= self._contents.fill(self._keys[position], self._elder.pages[places[rows]], words)
            except UNREADABLE:
                is_read[rows] = False
                continue
            replaced[rows] = words.reshape(-1, WORDS_PER_PAGE)
        return replaced

    def _look_ahead(self, pages: npt.NDArray[np.int64], originals: Words) -> Words:
        """Return the words that follow each page, from the next page of the block or read by themselves."""
        ahead = np.zeros((len(pages), AHEAD_WORDS), np.uint64)
        follows = np.flatnonzero(np.diff(pages) == 1)
        ahead[follows] = originals[follows + 1, :AHEAD_WORDS]
        address = (int(pages[-1]) + 1) * PAGE_BYTES
        raw = self._contents.read(self._keys[self._elder.position], address, AHEAD_WORDS * 8)
        if len(raw) == AHEAD_WORDS * 8:
            ahead[-1] = np.frombuffer(raw, np.uint64)
        return ahead

    def finish(self) -> Heads:
        """Return the parent's heads."""
        return self._heads.finish()


def find_holders(elder: Member) -> npt.NDArray[np.int32]:
    """Return for each of a parent's pages the position of a child that still has its original, -1: the parent itself.

    The parent has written a page where a child shows it as copied by its parent; that child's frame is the original.
    """
    holders = np.full(len(elder.pages), -1, np.int32)
    for child in reversed(elder.children):
        own = np.flatnonzero(child.states == COPIED_BY_PARENT)
        holders[child.in_parent[own]] = child.position
    return holders


def find_readers(elder: Member, is_at_work: Callable[[int], bool]) -> npt.NDArray[np.int32]:
    """Return for each of a parent's pages the position of the process from whose memory it is best read.

    Pages that a parent shares with a child at rest are read there: they are the same page frames, and the parent does
    not wait for the child's lock. What it writes while it is read stays out: its children have not got that.
    """
    readers = np.full(len(elder.pages), elder.position, np.int32)
    if not elder.frames.any():
        return readers  # without frames who shares with whom is inferred
    for child in elder.children:
        if not is_at_work(child.position):
            readers[child.in_parent[child.states == SHARED]] = child.position
    return readers
