"""Mappings of a parent and what its workers have there."""

from __future__ import annotations

import pytest

from airmem.analysis.lineup import line_up
from airmem.model.snapshot import ProcessSnapshot
from tests.synthetic import make_mapping, make_process

PAGE = 0x1000


def snapshot(pid, parent_pid, *mappings, **more):
    process = make_process(pid, parent_pid, **more)
    from airmem.model.memory import MemoryAccount

    return ProcessSnapshot(process=process, depth="mappings", account=MemoryAccount(), mappings=mappings)


def ranges(*processes):
    """Return for each range (first page, last page, [(worker, own pages, size in pages)])."""
    return [
        (
            one.start_address // PAGE,
            one.end_address // PAGE,
            [(worker.pid, worker.private_bytes // PAGE, worker.size_bytes // PAGE) for worker in one.workers],
        )
        for one in line_up(processes)
    ]


def at(first, last, **sizes):
    return make_mapping(first * PAGE, last * PAGE, **sizes)


ROOT = snapshot(1, 0, at(10, 20, name="[heap]"), at(20, 30), at(50, 60, name="/lib/a.so"))


def test_the_same_ranges():
    worker = snapshot(2, 1, at(10, 20), at(20, 30), at(50, 60, private_dirty_bytes=PAGE))
    assert ranges(ROOT, worker) == [(10, 20, [(2, 10, 10)]), (20, 30, [(2, 10, 10)]), (50, 60, [(2, 1, 10)])]


def test_a_worker_that_split_a_mapping():
    worker = snapshot(2, 1, at(10, 12), at(12, 13, permissions="r--p"), at(13, 20))
    assert ranges(ROOT, worker)[0] == (10, 20, [(2, 10, 10)])


def test_a_worker_that_merged_two_mappings():
    worker, other = snapshot(2, 1, at(10, 30)), snapshot(3, 1, at(10, 20), at(20, 30))
    assert ranges(ROOT, worker, other) == [(10, 30, [(2, 20, 20), (3, 20, 20)]), (50, 60, [])]


def test_a_mapping_that_grew_stays_with_its_range():
    worker = snapshot(2, 1, at(10, 20), at(20, 45), at(55, 70))
    assert ranges(ROOT, worker)[1:] == [(20, 30, [(2, 25, 25)]), (50, 60, [(2, 15, 15)])]


def test_a_mapping_that_shrank_or_is_gone():
    assert ranges(ROOT, snapshot(2, 1, at(12, 14))) == [(10, 20, [(2, 2, 2)]), (20, 30, []), (50, 60, [])]


def test_what_only_a_worker_maps_is_left_out():
    worker = snapshot(2, 1, at(5, 10), at(30, 50), at(60, 61), at(50, 60))
    assert ranges(ROOT, worker) == [(10, 20, []), (20, 30, []), (50, 60, [(2, 10, 10)])]


def test_nothing_is_counted_twice():
    worker = snapshot(2, 1, at(8, 11), at(11, 25), at(25, 52), at(58, 90))
    rows = ranges(ROOT, worker)
    assert sum(size for _, _, workers in rows for _, _, size in workers) == 3 + 14 + 27 + 32


def test_grandchildren_line_up_and_programs_do_not():
    worker = snapshot(2, 1, at(10, 20))
    program = snapshot(3, 1, at(10, 20), flags=0)
    below_program = snapshot(4, 3, at(10, 20))
    grandchild = snapshot(5, 2, at(10, 20))
    assert ranges(ROOT, worker, program, below_program, grandchild)[0] == (10, 20, [(2, 10, 10), (5, 10, 10)])


def test_a_worker_that_could_not_be_read_is_left_out():
    unread = ProcessSnapshot(process=make_process(2, 1), depth="status", account=ROOT.account)
    assert ranges(ROOT, unread) == [(10, 20, []), (20, 30, []), (50, 60, [])]
    assert line_up([unread, ROOT]) == ()


@pytest.mark.parametrize("unknown", ["rss_bytes", "pss_bytes"])
def test_sums_of_a_merged_range(unknown):
    first, second = line_up([ROOT, snapshot(2, 1, at(10, 30, shared_dirty_bytes=3 * PAGE, shared_clean_bytes=PAGE))])
    assert (first.size_bytes, first.rss_bytes, first.name) == (20 * PAGE, 20 * PAGE, "[heap]")
    assert first.workers[0].shared_bytes == 4 * PAGE
    assert first.private_bytes == 20 * PAGE
    assert second.workers == ()
