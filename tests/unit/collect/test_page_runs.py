"""Runs of pages: cutting them loses none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airmem.collect.page_runs import PART_PAGES, cut_runs

HOLES_AND_COUNTS = st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 3 * PART_PAGES)), max_size=6)


@given(HOLES_AND_COUNTS)
def test_runs_are_cut_into_parts_of_one_size_and_none_is_lost(steps: list[tuple[int, int]]) -> None:
    runs: list[tuple[int, int]] = []
    end = 0
    for hole, count in steps:
        runs.append((end + hole, count))
        end += hole + count
    parts = cut_runs(tuple(runs))
    pages = [page for first, count in runs for page in range(first, first + count)]
    assert [page for part in parts for first, count in part for page in range(first, first + count)] == pages
    sizes = [sum(count for _, count in part) for part in parts]
    assert all(size == PART_PAGES for size in sizes[:-1])
    assert all(0 < size <= PART_PAGES for size in sizes[-1:])
