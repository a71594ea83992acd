"""What changed in copied pages: words that are reference counts, heads of the collector, or neither.

A word is a reference count where the next word is a type pointer; a head of the garbage collector where an object whose
type has one begins 16 or 8 bytes on (next at the head's first word, prev at its second).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from airmem.cpython.layout import COUNT_FLAGS, COUNT_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.cpython.types import Flags, TypeTable, Words

IDENTICAL, HEADS, COUNTS, OTHER, UNREAD = range(5)
"""What a copied page shows: nothing changed, only heads, counts (and heads), anything else; or it cannot be told."""

ALLOCATED, FREED, CHANGED = range(3)
"""How other words came about: objects were made, objects were freed, words changed in place."""

AHEAD_WORDS = 3
"""So far behind a head's first word its object's type lies."""

MOST_MARKED_WORDS = 384
"""A page of 512 words with more changed ones holds other words, too: the smallest object with a head has four words,
of which two are head and one a count. Then its words are not looked at one by one."""

SLOT_STRIDE_WORDS = 10
"""On such a page every fifth place is looked at: odd, so that objects of equal size do not all fall between."""

NOT_FLAGS = np.uint64(~COUNT_FLAGS & (1 << 64) - 1)
ONE = np.uint64(1)
MOST = np.uint64(COUNT_LIMIT - 1)

Numbers = npt.NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Changes:
    """What was found in a block of copied pages: for each page its code and the kind of its other words.

    `counts` and `heads` are (page in the block, type number) of each word that is a reference count, or of a head.
    `others` are (page in the block, word in the page) of the rest, of pages that were looked at word by word.
    """

    codes: npt.NDArray[np.uint8]
    kinds: npt.NDArray[np.uint8]
    counts: tuple[Numbers, Numbers]
    heads: tuple[Numbers, Numbers]
    others: tuple[Numbers, Numbers]


NOTHING = np.zeros(0, np.int64)


def compare_pages(table: TypeTable, originals: Words, copies: Words, ahead: Words) -> Changes:
    """Return what differs between pages and their originals, both (pages, words in a page).

    `ahead` (pages, 3) holds the words that follow each page in memory, 0 where none is mapped.
    """
    count = len(copies)
    codes = np.full(count, IDENTICAL, np.uint8)
    kinds = np.full(count, CHANGED, np.uint8)
    nothing = (NOTHING, NOTHING)
    differs = copies != originals
    rows = np.flatnonzero(differs.view(np.uint64).any(axis=1))  # eight flags at once: most pages are identical
    if len(rows):
        is_full = np.count_nonzero(differs[rows], axis=1) > MOST_MARKED_WORDS
        full, rows = rows[is_full], rows[~is_full]
        codes[full] = OTHER
        _tell_kinds_of_slots(table, kinds, full, originals, copies)
    if not len(rows):
        return Changes(codes, kinds, nothing, nothing, nothing)
    extended = np.concatenate((copies[rows], ahead[rows]), axis=1)
    at, word = np.nonzero(differs[rows])
    new, old = extended[at, word], originals[rows[at], word]
    is_typed, types = table.find(extended[at, word + 1])
    is_count = is_typed & _is_live(table, new) & _is_live(table, old)
    is_head, head_types = _find_heads(table, extended, at, word)
    is_head &= ~is_count
    is_other = ~(is_count | is_head)
    page = rows[at]
    codes[page[is_head]] = HEADS
    codes[page[is_count]] = COUNTS
    codes[page[is_other]] = OTHER
    if is_other.any():
        before = np.concatenate((originals[rows], ahead[rows]), axis=1)
        _tell_kinds(table, kinds, page, (old, new), (before[at, word + 1], is_typed))
    return Changes(
        codes,
        kinds,
        (page[is_count], types[is_count].astype(np.int64)),
        (page[is_head], head_types[is_head].astype(np.int64)),
        (page[is_other], word[is_other]),
    )


def _is_live(table: TypeTable, words: Words) -> Flags:
    counts = words & NOT_FLAGS if table.has_count_flags else words
    live: Flags = counts - ONE < MOST
    return live


def _find_heads(table: TypeTable, extended: Words, at: Numbers, word: Numbers) -> tuple[Flags, npt.NDArray[np.int32]]:
    """Tell which words belong to a head, and the types of the objects that they are heads of."""
    is_next = word & 1 == 0  # heads begin at multiples of 16 bytes
    is_typed, types = table.find(extended[at, word + np.where(is_next, 3, 2)])
    is_head: Flags = is_typed & table.is_gc[types]
    return is_head, types


def _tell_kinds(
    table: TypeTable,
    kinds: npt.NDArray[np.uint8],
    page: Numbers,
    counts: tuple[Words, Words],
    followers: tuple[Words, Flags],
) -> None:
    """Tell of each page with other words whether more objects were made on it or freed, if any were."""
    (old, new), (before, is_typed_now) = counts, followers
    was_typed, _ = table.find(before)
    was_object, is_object = was_typed & _is_live(table, old), is_typed_now & _is_live(table, new)
    made = np.bincount(page[is_object & ~was_object], minlength=len(kinds))
    freed = np.bincount(page[was_object & ~is_object], minlength=len(kinds))
    kinds[(made > 0) & (made >= freed)] = ALLOCATED
    kinds[freed > made] = FREED


def _tell_kinds_of_slots(
    table: TypeTable, kinds: npt.NDArray[np.uint8], rows: Numbers, originals: Words, copies: Words
) -> None:
    """Tell the same of pages that changed nearly all over, by some of the places where objects can begin."""
    first = np.arange(0, copies.shape[1], SLOT_STRIDE_WORDS)
    counts = originals[np.ix_(rows, first)], copies[np.ix_(rows, first)]
    before, now = originals[np.ix_(rows, first + 1)], copies[np.ix_(rows, first + 1)]
    is_typed, _ = table.find(now)
    page = np.broadcast_to(rows[:, None], now.shape)
    _tell_kinds(table, kinds, page, counts, (before, is_typed))
