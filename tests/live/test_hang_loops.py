"""Event loops and the CPU: blocked, starved, turning in a circle, at work."""

from __future__ import annotations

import pytest

from tests.live.hang import CALM, assert_thread, look_at

MAIN = {
    "lock_in_coroutine": ("asyncio_blocked", {"coroutine": "main", "lock": "LOCK", "holder": "owner"}),
    "sleep_in_coroutine": ("asyncio_blocked", {"coroutine": "stuck", "task": "trigger-1"}),
    "queue_in_callback": ("asyncio_blocked", {"blocked_by": "queue_wait"}),
    "subprocess_in_coroutine": ("asyncio_blocked", {"child_": True}),
    "nobody_sets_the_event": ("asyncio_starved", {"task": "watcher", "nobody_left": True}),
    "nobody_fills_the_queue": ("asyncio_starved", {"task_": True}),
    "gathered_in_another_thread": ("future_wait", {}),
    "regular_expression": ("cpu_native_gil", {"caller": "regular_expression"}),
    "hash_without_gil": ("cpu_native", {"caller": "hash_without_gil"}),
    "circle": ("cpu_python", {"caller": "circle"}),
    "circle_through_functions": ("running", {}),
    "gil_kept_in_read": ("gil_held_blocked", {}),
    "sleeping": ("sleep", {"seconds_": True}),
    "waiting_for_signal": ("idle", {"mechanism_": True}),
    "waiting_for_chosen_signal": ("idle", {"mechanism_": True}),
}


@pytest.mark.parametrize("name", MAIN)
def test_the_main_thread_is_told_what_it_does(start, name):
    category, evidence = MAIN[name]
    assert_thread(look_at(start("hang_loops", name)).thread(), category, **evidence)


def test_the_coroutines_of_a_starved_loop_are_named(start):
    told = look_at(start("hang_loops", "nobody_sets_the_event"))
    assert {"inner", "outer"} <= {*told.thread()["evidence"]["coroutine"]}


@pytest.mark.parametrize("name", ["gil_kept_in_read", "starved_by_regular_expression"])
def test_who_wants_the_gil_is_told_who_has_it(start, name):
    told = look_at(start("hang_loops", name))
    assert_thread(told.thread("beat"), "gil_wait", holder="MainThread")


def test_a_blocked_loop_is_a_known_hang(start):
    assert look_at(start("hang_loops", "sleep_in_coroutine")).patterns == ["R4"]
    assert look_at(start("hang_loops", "healthy_ticker")).patterns == []


HEALTHY = [
    "healthy_client", "healthy_ticker", "healthy_child_watcher", "healthy_thread_work", "healthy_work",
    "healthy_threads_at_work",
]  # fmt: skip


@pytest.mark.parametrize("name", HEALTHY)
def test_the_healthy_are_said_to_be_healthy(start, name):
    told = look_at(start("hang_loops", name))
    assert [one for one in told.threads if one["category"] not in CALM] == []
    assert told.process(told.truth["pid"])["state"] in ("idle", "busy")
    assert told.root_causes == []


def test_a_profile_shows_where_the_time_goes(start):
    told = look_at(start("hang_loops", "regular_expression"), "--profile", "1")
    first = told.answer["profile"][0]
    assert (first["function"], first["own_ratio"]) == ("match", 1.0)
    assert {"regular_expression", "match"} <= {row["function"] for row in told.answer["profile"]}


def test_nobody_is_sent_a_signal_who_is_not_known_to_survive_it(start):
    target = start("hang_loops", "sleeping")
    told = look_at(target, "--signal")
    assert target.process.poll() is None
    assert_thread(told.thread(), "sleep")
