from __future__ import annotations

import pytest

from airmem.analysis.waiting.graph import Graph
from airmem.model.verdict import Wait


def wait(pid, category, *needs, tid=None, **more):
    more.setdefault("evidence", {})
    return Wait(pid=pid, tid=tid or pid, category=category, needs=needs, **more)


def graph(*waits):
    return Graph({(one.pid, one.tid): one for one in waits})


def categories(found):
    return {key: one.category for key, one in found.waits.items()}


def test_two_locks_in_a_ring_are_a_deadlock_and_who_joins_waits_for_it():
    found = graph(
        wait(1, "join_wait", (1, 2)), wait(1, "lock_wait", (1, 3), tid=2), wait(1, "lock_wait", (1, 2), tid=3)
    )
    assert categories(found) == {(1, 1): "join_wait", (1, 2): "lock_deadlock", (1, 3): "lock_deadlock"}
    (chain,) = found.chains()
    assert chain.knot == ((1, 2), (1, 3))
    assert found.waits[1, 1].evidence["deadlock"]


def test_a_chain_ends_where_nothing_inside_is_waited_for():
    found = graph(wait(1, "child_wait", (2, None)), wait(2, "lock_wait", (2, 3)), wait(2, "socket_recv", tid=3))
    (chain,) = found.chains()
    assert (chain.end, chain.blocked, chain.links) == ((2, 3), (1, 2), ((1, 1), (2, 2), (2, 3)))
    assert found.stuck == set()


@pytest.mark.parametrize("healthy", ["idle", "running"])
def test_who_waits_for_the_healthy_has_no_root_cause(healthy):
    assert graph(wait(1, "child_wait", (2, None)), wait(2, healthy)).chains() == []


def test_a_pipe_is_dead_only_when_every_other_end_is():
    ring = [
        wait(1, "pipe_read", (2, None), (3, None), needs_all=False),
        wait(2, "pipe_read", (1, None), needs_all=False),
    ]
    assert categories(graph(*ring, wait(3, "sleep")))[1, 1] == "pipe_read"
    assert categories(graph(*ring, wait(3, "pipe_read", (1, None), needs_all=False)))[1, 1] == "ipc_cycle"


def test_a_process_with_a_thread_that_works_is_not_dead():
    found = graph(
        wait(1, "pipe_read", (2, None), needs_all=False),
        wait(2, "pipe_read", (1, None), needs_all=False),
        wait(2, "running", tid=3),
    )
    assert found.stuck == set()


def test_a_library_thread_does_not_keep_a_process_alive():
    found = graph(
        wait(1, "pipe_read", (2, None), needs_all=False),
        wait(2, "pipe_read", (1, None), needs_all=False),
        wait(2, "idle", tid=3, place="a pool's thread"),
    )
    assert set(found.stuck) == {(1, 1), (2, 2)}


def test_a_wait_that_ends_by_itself_is_in_no_knot():
    found = graph(wait(1, "lock_wait", (1, 2), evidence={"timeout_s": 90.0}), wait(1, "lock_wait", (1, 1), tid=2))
    assert found.stuck == set()


def test_a_file_lock_keeps_its_category_in_a_knot():
    found = graph(wait(1, "file_lock", (2, None)), wait(2, "child_wait", (1, None)))
    assert categories(found) == {(1, 1): "file_lock", (2, 2): "child_wait"}
    (chain,) = found.chains()
    assert chain.end == (1, 1)


def test_workers_orphaned_by_one_lock_are_one_root_cause():
    orphans = [wait(pid, "mp_lock_orphaned", nobody=True, evidence={"semlock": "_rlock"}) for pid in (2, 3, 4)]
    (chain,) = graph(wait(1, "idle"), *orphans).chains()
    assert chain.blocked == (2, 3, 4)


def test_somebody_outside_the_tree_may_always_go_on():
    found = graph(wait(1, "file_lock", (99, None)), wait(2, "child_wait", (1, None)))
    assert found.stuck == set()
    assert [chain.end for chain in found.chains()] == [(1, 1)]


def test_a_long_chain_needs_no_recursion():
    waits = [wait(1, "lock_wait", (1, tid + 1), tid=tid) for tid in range(1, 3000)]
    ring = wait(1, "lock_wait", (1, 1), tid=3000)
    assert len(graph(*waits, ring).stuck) == 3000
