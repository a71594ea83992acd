"""Several items at once."""

from __future__ import annotations

from threading import Barrier

import pytest

from airmem.collect.parallel import for_each


def test_each_item_is_looked_at_once():
    seen = []
    for_each(range(100), seen.append, 4)
    assert sorted(seen) == list(range(100))


def test_as_many_at_once_as_there_are_threads():
    meeting = Barrier(3)
    for_each(range(6), lambda _: meeting.wait(timeout=60), 3)


def test_no_items_and_fewer_than_threads():
    seen = []
    for_each([], seen.append, 4)
    for_each([1], seen.append, 4)
    assert seen == [1]


@pytest.mark.parametrize("error", [ValueError, IndexError])
def test_the_first_error_ends_it(error):
    seen = []

    def look(item):
        seen.append(item)
        if item == 3:
            raise error("on purpose")

    with pytest.raises(error, match="on purpose"):
        for_each(range(1000), look, 1)
    assert seen == [0, 1, 2, 3]
