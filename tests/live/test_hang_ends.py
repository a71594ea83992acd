"""Waits that no other process ends: those by design are idle, and those for a pool lead to who is to answer."""

from __future__ import annotations

import pytest

from tests.live.conftest import run_airmem
from tests.live.hang import assert_thread, look_at

IDLE = ["self_pipe", "wakeup_descriptor", "loop_until_signal", "netlink", "unix_datagrams"]


@pytest.mark.parametrize("name", IDLE)
def test_who_waits_for_signals_or_for_messages_from_anybody_is_idle(start, name):
    told = look_at(start("hang_ends", name), "--stuck-after", "0.1")
    assert_thread(told.thread(), "idle", mechanism_=True)
    assert (told.process(told.truth["pid"])["state"], told.root_causes) == ("idle", [])


def test_a_filter_of_lines_waits_for_work(start):
    told = look_at(start("hang_ends", "filter_of_lines"))
    assert told.thread(pid=told.truth["child"])["category"] == "idle"


def test_a_named_pipe_is_told_by_its_path(start):
    told = look_at(start("hang_ends", "named_pipe_without_writer"))
    assert_thread(told.thread(), "pipe_read", path=told.truth["path"], peer_pid=None)
    told = look_at(start("hang_ends", "named_pipe_of_silent_writer"))
    assert_thread(told.thread(), "pipe_read", path=told.truth["path"], peer_pid=told.truth["child"])


def test_a_pidfd_leads_to_its_process(start):
    told = look_at(start("hang_ends", "pidfd_of_child"))
    assert_thread(told.thread(), "child_wait", child=told.truth["child"])
    assert told.root_causes == [("sleep", told.truth["child"])]


def test_a_pipe_is_not_hung_while_its_writer_is_well(start):
    told = look_at(start("hang_ends", "output_of_idle_child"), "--stuck-after", "0.1")
    assert_thread(told.thread(), "pipe_read", peer_pid=told.truth["child"])
    assert told.process(told.truth["pid"])["state"] == "waiting"


def test_a_sleep_beside_a_statement_is_a_sleep(start):
    told = look_at(start("hang_ends", "transaction_in_other_thread"))
    assert_thread(told.thread(), "db_wait", db="sqlite", path_=True)
    assert told.thread("writer")["category"] == "sleep"


def test_a_future_leads_through_the_pools_to_who_works_on_it(start):
    told = look_at(start("hang_ends", "future_of_a_pool"))
    assert_thread(told.thread(), "future_wait", waits_for="first_0")
    assert_thread(told.thread("first_0"), "future_wait", waits_for="second_0")
    (cause,) = told.answer["root_causes"]
    assert (cause["category"], cause["tid"]) == ("socket_recv", told.thread("second_0")["tid"])


@pytest.mark.parametrize("name", ["lost_result", "coroutine_of_own_loop"])
def test_a_result_that_nobody_brings_any_more_is_hung(start, name):
    told = look_at(start("hang_ends", name))
    thread = told.thread("outside" if name == "coroutine_of_own_loop" else "MainThread")
    assert_thread(thread, "future_wait", nobody_left=True)
    assert told.process(told.truth["pid"])["state"] == "hung"


def test_a_process_whose_first_thread_has_ended_is_no_zombie(start):
    target = start("headless")
    told = look_at(target)
    (process,) = told.answer["processes"]
    assert process["state"] != "zombie"
    categories = {thread["tid"] == target.pid: thread["category"] for thread in process["threads"]}
    assert categories[True] == "exited"
    assert categories[False] not in ("exited", "zombie")
    assert [gap for gap in told.answer["gaps"] if gap["fact"] == "stacks"] == []
    (thread,) = [one for one in process["threads"] if one["tid"] != target.pid]
    assert (thread["category"], thread["function"]) == ("idle", "stay")  # it reads in a loop what it is sent
    shown = run_airmem("hang-dump", target.pid, "--window", "0.5").stdout
    row = next(line for line in shown.splitlines() if line.split()[1:2] == [str(target.pid)] and "idle" in line)
    assert "is idle" in row  # what the living thread does, not that the first has ended
