"""Threads that wait for each other: category, lock and holder are what the program did."""

from __future__ import annotations

import time

import pytest

from tests.live.hang import CALM, assert_thread, look_at

LOCKS = {
    "held_in_context_manager": ("lock_wait", {"lock": "self.lock", "holder": "owner"}),
    "held_after_acquire": ("lock_wait", {"lock": "self.lock", "holder": "owner", "holder_frame": "slow_after_acquire"}),
    "held_in_with": ("lock_wait", {"lock": "self.lock", "holder": "owner", "holder_frame": "slow_in_with"}),
    "held_through_condition": ("lock_wait", {"lock": "self.changed", "holder": "owner"}),
    "recursive_lock": ("lock_wait", {"lock": "FIRST", "holder": "owner"}),
    "semaphore": ("lock_wait", {"lock": "slots", "holder": "owner"}),
    "logging_lock": ("lock_wait", {"lock": "self.lock", "holder": "writer"}),
    "holder_ended": ("lock_wait", {"lock": "lock", "holder": "dead"}),
    "twice_in_one_function": ("self_deadlock", {"lock": "lock", "holder": "MainThread"}),
    "handler_takes_lock": ("self_deadlock", {"lock": "SECOND", "holder_frame": "handler_takes_lock"}),
    "simple_queue": ("queue_wait", {"caller": "simple_queue", "call": "jobs.get", "nobody_left": True}),
    "full_queue": ("queue_wait", {"call": "jobs.put", "nobody_left": True}),
    "consumer_joined": ("join_wait", {"waits_for": "consumer"}),
    "barrier": ("cond_wait", {"call": "gate.wait", "nobody_left": True}),
    "event_with_long_timeout": ("event_wait", {"timeout_s_": True}),
    "future_of_nobody": ("future_wait", {"call": "Future().result"}),
    "pool_waits_for_itself": ("future_wait", {}),
    "ending_with_pool": ("join_wait", {"waits_for": "late_0"}),
    "ending_with_thread": ("shutdown_wait", {"waits_for": "late"}),
}
"""Case -> the category of the main thread, and evidence. A holder of a plain lock is found by the source."""


@pytest.mark.parametrize("name", LOCKS)
def test_a_thread_is_told_what_it_waits_for(start, name):
    category, evidence = LOCKS[name]
    assert_thread(look_at(start("hang_threads", name)).thread(), category, **evidence)


@pytest.mark.parametrize(
    "name", ["holder_ended", "twice_in_one_function", "simple_queue", "barrier", "consumer_joined"]
)
def test_what_nothing_can_end_is_hung_at_once(start, name):
    told = look_at(start("hang_threads", name))
    assert told.process(told.truth["pid"])["state"] == "hung"


@pytest.mark.parametrize(
    "name", ["held_in_with", "recursive_lock", "event_with_long_timeout", "pool_waits_for_slow_work"]
)
def test_what_may_end_is_not_hung_before_its_time(start, name):
    told = look_at(start("hang_threads", name))
    assert told.process(told.truth["pid"])["state"] == "waiting"


def test_a_wait_that_lasts_too_long_is_hung(start):
    target = start("hang_threads", "held_in_with")
    began = time.monotonic()
    time.sleep(2)
    told = look_at(target, "--stuck-after", "0.5")
    since_seconds = told.thread()["since_seconds"]
    assert 1.5 < since_seconds < time.monotonic() - began + 1.5  # it began to wait about when it was ready
    assert told.process(told.truth["pid"])["state"] == "hung"
    assert [one["code"] for one in told.answer["findings"]] == ["AM501"]


def test_a_ring_of_locks_is_one_knot(start):
    told = look_at(start("hang_threads", "three_in_a_ring"))
    for at in range(3):
        assert_thread(told.thread(f"ring-{at}"), "lock_deadlock", holder=f"ring-{(at + 1) % 3}")
    assert told.root_causes == [("lock_deadlock", told.truth["pid"])]
    assert told.process(told.truth["pid"])["state"] == "hung"


def test_the_end_of_a_chain_is_its_root_cause(start):
    told = look_at(start("hang_threads", "held_in_with"))
    (cause,) = told.answer["root_causes"]
    assert (cause["category"], cause["tid"]) == ("sleep", told.thread("owner")["tid"])
    assert [link["category"] for link in cause["chain"]] == ["lock_wait", "sleep"]


@pytest.mark.parametrize("name", ["inherited_recursive_lock", "inherited_lock_released_since"])
def test_a_lock_inherited_across_fork_is_told_from_one_that_is_held(start, name):
    told = look_at(start("hang_threads", name))
    child = told.truth["child"]
    assert_thread(told.thread(pid=child), "fork_lock", nobody_left=True)
    assert told.process(child)["state"] == "hung"
    assert told.patterns == ["R2"]


def test_the_holder_in_the_parent_is_named(start):
    told = look_at(start("hang_threads", "inherited_recursive_lock"))
    assert_thread(told.thread(pid=told.truth["child"]), "fork_lock", holder_in_parent="cache-refresher")


def test_a_pool_that_waits_for_itself_is_exhausted(start):
    told = look_at(start("hang_threads", "pool_waits_for_itself"))
    for at in range(2):
        assert_thread(told.thread(f"pool_{at}"), "pool_exhausted")
    assert told.root_causes == [("pool_exhausted", told.truth["pid"])]


def test_a_pool_that_waits_for_slow_work_is_not(start):
    told = look_at(start("hang_threads", "pool_waits_for_slow_work"))
    assert_thread(told.thread("pool_0"), "sleep")
    assert_thread(told.thread("pool_1"), "future_wait")


def test_workers_with_nothing_to_do_are_idle(start):
    told = look_at(start("hang_threads", "healthy_workers"))
    assert [one for one in told.threads if one["category"] not in CALM] == []
    assert told.process(told.truth["pid"])["state"] == "idle"
    assert told.root_causes == []
