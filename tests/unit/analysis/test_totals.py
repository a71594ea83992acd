"""Sums over a tree, and the bound on what could not be read."""

from __future__ import annotations

import pytest

from airmem.analysis.totals import bound_unreadable, sum_tree
from airmem.model.remainder import CgroupRemainder
from airmem.model.sharing import TreeSharing
from tests.synthetic import make_account, make_cgroup, make_row

ZOMBIE = {"state": "Z", "arguments": ()}
KERNEL_THREAD = {"flags": 0x00200000}
OPEN = CgroupRemainder(outsiders_pss_bytes=0, obstacles=())


def total(*rows, missed=False, sharing=None, cgroup=None, remainder=None):
    return sum_tree(rows, sharing, cgroup, remainder, missed=missed)


def test_sums():
    tree = total(make_row(1), make_row(2, account=make_account(500, 50, 5, swap_pss_bytes=7)))
    assert (tree.root_pid, tree.process_count, tree.unreadable_count) == (1, 2, 0)
    assert (tree.rss_sum_bytes, tree.pss_sum_bytes, tree.uss_sum_bytes) == (1500, 150, 15)
    assert tree.swap_pss_sum_bytes == 7
    assert not tree.is_lower_bound
    assert (tree.distinct_bytes, tree.exclusive_bytes, tree.unreadable_bound_bytes) == (None, None, None)


def test_an_unreadable_process_makes_lower_bounds():
    tree = total(make_row(1), make_row(2, account=make_account(500)))
    assert tree.is_lower_bound
    assert (tree.unreadable_count, tree.rss_sum_bytes, tree.pss_sum_bytes) == (1, 1500, 100)


def test_a_process_that_was_not_even_seen_makes_lower_bounds():
    tree = total(make_row(1), missed=True)
    assert tree.is_lower_bound
    assert tree.unreadable_count == 0


@pytest.mark.parametrize("process", [ZOMBIE, KERNEL_THREAD])
def test_who_certainly_holds_nothing_is_not_missing(process):
    tree = total(make_row(1), make_row(2, account=make_account(), process=process))
    assert not tree.is_lower_bound
    assert (tree.process_count, tree.unreadable_count) == (2, 0)


def test_a_leader_whose_threads_run_on_is_missing_when_unread():
    process = {"state": "Z", "thread_count": 3}
    assert total(make_row(1), make_row(2, account=make_account(), process=process)).is_lower_bound


def test_what_nobody_knows_is_no_sum_of_zero():
    assert total(make_row(1)).swap_pss_sum_bytes is None
    assert total(make_row(1, account=make_account(1, 1, 1, swap_pss_bytes=0))).swap_pss_sum_bytes == 0


def test_pages_counted_once_are_the_sharings():
    sharing = TreeSharing(by_process=(None,), distinct_bytes=4096, exclusive_bytes=0, unsettled={}, stray_bytes=0)
    tree = total(make_row(1), sharing=sharing)
    assert (tree.distinct_bytes, tree.exclusive_bytes) == (4096, 0)


def bound(*rows, cgroup=None, remainder=OPEN):
    return bound_unreadable(rows, cgroup or make_cgroup(anon_bytes=1000, shmem_bytes=100), remainder)


def readable(pid, anon=0, shmem=0):
    return make_row(pid, account=make_account(900, 500, 10, pss_anon_bytes=anon, pss_shmem_bytes=shmem))


def test_the_bound_is_what_the_group_holds_beyond_the_readable():
    assert bound(readable(1, 300, 40), readable(2, 100, 0), make_row(3, account=make_account(800))) == 660


def test_outsiders_are_subtracted_too():
    remainder = CgroupRemainder(outsiders_pss_bytes=200, obstacles=())
    assert bound(readable(1, 300), make_row(2, account=make_account(800)), remainder=remainder) == 600


def test_the_bound_is_never_negative():
    assert bound(readable(1, 5000)) == 0


@pytest.mark.parametrize(
    ("cgroup", "remainder"),
    [
        (make_cgroup(anon_bytes=1000, shmem_bytes=100), None),
        (make_cgroup(anon_bytes=1000, shmem_bytes=100), CgroupRemainder(outsiders_pss_bytes=0, obstacles=("x",))),
        (make_cgroup(anon_bytes=None, shmem_bytes=100), OPEN),
        (make_cgroup(anon_bytes=1000, shmem_bytes=None), OPEN),
    ],
)
def test_no_bound_when_a_precondition_fails(cgroup, remainder):
    assert bound_unreadable((readable(1, 1),), cgroup, remainder) is None
    assert bound_unreadable((readable(1, 1),), None, OPEN) is None


@pytest.mark.parametrize(
    ("rows", "missed", "stray_bytes", "bound"),
    [
        ((make_row(1), make_row(2)), False, 0, False),
        ((make_row(1), make_row(2)), True, 0, True),
        ((make_row(1), make_row(2)), False, 4096, True),
        ((make_row(1), make_row(2, account=make_account(500))), False, 0, True),
    ],
)
def test_who_could_not_be_compared_makes_sharing_a_bound(rows, missed, stray_bytes, bound):
    sharing = TreeSharing(
        by_process=(None,), distinct_bytes=4096, exclusive_bytes=0, unsettled={}, stray_bytes=stray_bytes
    )
    assert total(*rows, missed=missed, sharing=sharing).is_sharing_bound is bound
    assert total(*rows, missed=missed).is_sharing_bound is False
