"""Whose memory a parent's pages are read from."""

from __future__ import annotations

from airmem.analysis.causes import find_readers
from airmem.analysis.writers import attribute_writers
from tests.unit.analysis.test_writers import Family

PARENT, FIRST, SECOND = range(3)
TREE = ({1: 10, 2: 20, 3: 30, 4: 40}, {1: 10, 2: 21, 3: 30, 5: 50}, {1: 10, 2: 20, 3: 31})


def readers(at_work, **more):
    members = attribute_writers(Family(*TREE, exclusive={21, 31, 40, 50}, **more), [None, 0, 0], [True] * 3)
    return find_readers(members[PARENT], lambda position: position in at_work).tolist()


def test_children_show_what_they_share():
    assert readers(set()) == readers({PARENT}) == [SECOND, SECOND, FIRST, PARENT]


def test_a_child_at_work_is_left_alone():
    assert readers({SECOND}) == [FIRST, PARENT, FIRST, PARENT]
    assert readers({FIRST, SECOND}) == [PARENT] * 4


def test_who_shares_is_not_trusted_where_frames_are_hidden():
    assert readers(set(), shows_frames=False) == [PARENT] * 4
