"""Locks whose holder the text alone does not tell: the right thread is named, or none."""

from __future__ import annotations

import pytest

from tests.live.hang import assert_thread, look_at

WAITING = {
    "one_name_for_two_locks": ("MainThread", {"lock": "lock", "holder": "flusher"}),
    "taken_level_by_level": ("MainThread", {"lock": "LOCKS[level]", "holder": "deep"}),
    "calls_of_other_objects": ("MainThread", {"lock": "self.lock", "holder": "guilty"}),
    "left_a_block": ("MainThread", {"lock": "A", "holder": None}),
    "handed_over": ("MainThread", {"lock": "A", "holder": "worker"}),
    "main_thread_holds": ("late", {"lock": "lock", "holder": "MainThread", "holder_frame": "hold"}),
}
"""Case -> the thread that waits, and what is known of its lock."""

OWN = {
    "mutex_of_a_queue": {"holder": "MainThread", "holder_frame": "mutex_of_a_queue"},
    "helper_in_a_handler": {"holder": "MainThread", "holder_frame": "write"},
}


@pytest.mark.parametrize("name", WAITING)
def test_the_right_holder_is_named(start, name):
    thread, evidence = WAITING[name]
    assert_thread(look_at(start("hang_locks", name)).thread(thread), "lock_wait", **evidence)


@pytest.mark.parametrize("name", OWN)
def test_a_thread_that_waits_for_itself_is_told_so(start, name):
    told = look_at(start("hang_locks", name))
    assert_thread(told.thread(), "self_deadlock", **OWN[name])
    assert told.process(told.truth["pid"])["state"] == "hung"


def test_of_several_locks_in_one_line_the_one_that_is_missing_is_named(start):
    told = look_at(start("hang_locks", "several_in_one_line"))
    assert_thread(told.thread("left"), "lock_deadlock", lock="B", holder="right")
    assert_thread(told.thread("right"), "lock_deadlock", lock="A", holder="left")


def test_a_lock_from_before_the_fork_is_inherited_though_its_thread_has_ended(start):
    told = look_at(start("hang_locks", "inherited_and_released_since"))
    assert_thread(told.thread(pid=told.truth["child"]), "fork_lock", lock="B", nobody_left=True)
