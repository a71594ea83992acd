"""Who copied a page, on made-up families whose truth is written beside them."""

from __future__ import annotations

import numpy as np
import pytest

from airmem.analysis import writers
from airmem.analysis.cow import sum_old_originals
from airmem.analysis.writers import attribute_writers
from airmem.model.anonymous import AnonymousPages
from airmem.model.pages import EXCLUSIVE, PRESENT, SWAPPED
from airmem.units import PAGE_BYTES

PAGE = {
    writers.NEW: "new",
    writers.SHARED: "shared",
    writers.COPIED: "copied",
    writers.COPIED_BY_PARENT: "by parent",
    writers.FREED_BY_PARENT: "freed",
    writers.SWAPPED: "swapped",
}
OUT = "swapped out"


class Family:
    """Processes as {page: frame}; frames from `exclusive` have the kernel's flag, None where nothing tells flags."""

    def __init__(self, *tables, exclusive=(), shows_frames=True, once=(), huge=()):
        self.tables = tables
        self.exclusive = exclusive
        self.shows_frames = shows_frames
        self.once = once
        self.huge = huge

    def read(self, position):
        table = self.tables[position]
        if table is None:
            return None
        pages = np.array(sorted(table), np.int64)
        words = [self.word(position, page, table[page]) for page in pages.tolist()]
        huge = np.array([(position, page) in self.huge for page in pages.tolist()], np.bool_)
        return AnonymousPages(
            pages=pages, words=np.array(words, np.uint64), huge=None if self.shows_frames else huge, ranges=()
        )

    def word(self, position, page, frame):
        if frame == OUT:
            return SWAPPED
        once = EXCLUSIVE if (position, page) in self.once else 0
        return PRESENT | once | (frame if self.shows_frames else 0)

    def find_exclusive(self, frames):
        return None if self.exclusive is None else np.isin(frames, np.array(sorted(self.exclusive), np.int64))

    def is_trusted(self, shared):
        return self.exclusive is not None

    def find_changed(self, position, pages, frames):
        return None


def look(family, parents, forked=None):
    members = attribute_writers(family, parents, forked or [True] * len(parents))
    states = [
        None if one is None else [PAGE[state] for state in one.states.tolist()] if one.parent else None
        for one in members
    ]
    return members, states


def test_the_worker_wrote():
    (_, worker), (_, states) = look(Family({1: 10, 2: 20}, {1: 10, 2: 21, 3: 30}, exclusive={21, 30}), [None, 0])
    assert states == ["shared", "copied", "new"]
    assert worker.certainty == "exact"


def test_where_both_wrote_that_is_told():
    family = Family({1: 10, 2: 20, 3: 30}, {1: 11, 2: 21, 3: 30}, exclusive={11, 21, 20})
    (_, worker), (_, states) = look(family, [None, 0])
    assert states == ["copied", "copied", "shared"]
    assert worker.both_wrote_count == 1


def test_what_only_a_fork_speaks_for_may_be_the_parents_as_well():
    """Its fork cleared the flag of the worker's copy, if it is one."""
    members, states = look(Family({1: 10, 2: 20}, {1: 11, 2: 20}, {1: 11, 2: 20}, exclusive=set()), [None, 0, 1])
    assert states[1] == ["copied", "shared"]
    assert (members[1].certainty, members[1].both_wrote_count) == ("inferred", 1)


def test_where_frames_are_hidden_a_page_that_both_have_may_be_the_parents():
    table = {1: 10, 2: 20, 3: 30}
    family = Family(table, table, table, shows_frames=False, once={(0, 1), (1, 1), (1, 2), (2, 1)})
    members, states = look(family, [None, 0, 0])
    assert states[1] == ["copied", "copied", "shared"]
    assert (members[1].certainty, members[1].both_wrote_count) == ("inferred", 1)


def test_originals_that_the_parent_has_replaced_twice():
    """The first worker has the oldest, the second those of between: with one generation two pages would go."""
    family = Family({1: 12, 2: 22, 3: 32}, {1: 10, 2: 20, 3: 30}, {1: 11, 2: 21, 3: 32}, exclusive={12, 22, 32})
    members, _ = look(family, [None, 0, 0])
    assert sum_old_originals(members) == (5 * PAGE_BYTES, 2 * PAGE_BYTES)


def test_without_flags_nobody_tells_whether_both_wrote():
    (_, worker), _ = look(Family({1: 10}, {1: 11}, exclusive=None), [None, 0])
    assert worker.both_wrote_count is None


def test_the_parent_wrote():
    family = Family({1: 11, 2: 20}, {1: 10, 2: 20}, exclusive={11})
    assert look(family, [None, 0])[1][1] == ["by parent", "shared"]


def test_the_parent_wrote_and_then_forked_again():
    """Its fork clears the flag of its copies: the first worker never forked, so it cannot have written."""
    family = Family({1: 11, 2: 20}, {1: 10, 2: 20, 3: 30, 4: 31}, {1: 11, 2: 20}, exclusive={30, 31})
    assert look(family, [None, 0, 0])[1][1:] == [["by parent", "shared", "new", "new"], ["shared", "shared"]]


def test_siblings_that_share_did_not_write():
    family = Family({1: 11}, {1: 10}, {1: 10}, exclusive=set())
    members, states = look(family, [None, 0, 0])
    assert states[1:] == [["by parent"], ["by parent"]]
    assert [one.is_shared.tolist() for one in members] == [[False], [True], [True]]


def test_a_workers_own_fork_does_not_hide_its_copy():
    family = Family({1: 10, 2: 20}, {1: 11, 2: 20}, {1: 10, 2: 20}, {1: 11, 2: 20}, exclusive=set())
    _, states = look(family, [None, 0, 0, 1])
    assert states[1:] == [["copied", "shared"], ["shared", "shared"], ["shared", "shared"]]


def test_a_grandchild_is_compared_with_its_own_parent():
    family = Family({1: 10}, {1: 11, 2: 21}, {1: 12, 2: 21}, exclusive={11, 12})
    assert look(family, [None, 0, 1])[1][1:] == [["copied", "new"], ["copied", "shared"]]


def test_a_page_that_the_parent_has_freed():
    family = Family({1: 10}, {1: 10, 2: 20}, {1: 10, 2: 20, 3: 30}, exclusive={30})
    assert look(family, [None, 0, 0])[1][1:] == [["shared", "freed"], ["shared", "freed", "new"]]


def test_who_was_not_forked_inherited_nothing():
    family = Family({1: 10}, {1: 11}, exclusive={11})
    members, _ = look(family, [None, 0], [True, False])
    assert members[1].parent is None


def test_a_child_in_its_parents_memory_is_not_compared():
    """Frames that both map are mapped once."""
    family = Family({1: 10, 2: 20}, {1: 10, 2: 20}, exclusive={10, 20}, once={(0, 1), (1, 1), (0, 2), (1, 2)})
    members, _ = look(family, [None, 0])
    assert members[1].is_same_memory
    assert (members[1].parent, members[0].children) == (None, [])


def test_swapped_pages_are_apart():
    family = Family({1: OUT, 2: 20, 3: OUT}, {1: 10, 2: OUT, 3: OUT}, exclusive={10})
    assert look(family, [None, 0])[1][1] == ["swapped", "swapped", "swapped"]


def test_an_unreadable_parent_leaves_its_children_alone():
    members, _ = look(Family({1: 10}, None, {1: 11}, exclusive=set()), [None, 0, 1])
    assert members[1] is None
    assert members[2].parent is None


@pytest.mark.parametrize(
    ("own", "parents", "others", "state"),
    [(11, 10, [10, 10], "copied"), (10, 11, [10, 10], "by parent"), (11, 10, [12, 13], "copied")],
)
def test_without_flags_the_majority_has_the_original(own, parents, others, state):
    family = Family({1: parents}, {1: own}, *({1: frame} for frame in others), exclusive=None)
    members, states = look(family, [None, 0, 0, 0])
    assert states[1] == [state]
    assert members[1].certainty == "inferred"


def test_without_frames_what_is_mapped_once_was_copied():
    tables = ({1: 0, 2: 0, 3: 0}, {1: 0, 2: 0, 3: 0}, {1: 0, 2: 0, 3: 0})
    family = Family(*tables, shows_frames=False, once={(1, 1), (0, 2)})
    members, states = look(family, [None, 0, 0])
    assert states[1] == ["copied", "by parent", "shared"]
    assert states[2] == ["shared", "by parent", "shared"]
    assert members[1].certainty == "inferred"


def test_the_flag_of_a_huge_page_is_not_believed():
    """Bit 56 tells of all its pages what holds for the first."""
    family = Family({1: 0}, {1: 0}, shows_frames=False, once={(1, 1)}, huge={(1, 1)})
    assert look(family, [None, 0])[1][1] == ["shared"]
