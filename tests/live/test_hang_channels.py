"""Sockets, pipes, children, files and locks between processes: what is at the other end is what the program put there."""

from __future__ import annotations

import pytest

from tests.live.hang import CALM, assert_thread, look_at

MAIN = {
    "http_without_timeout": (
        "socket_recv",
        {"remote_": True, "timeout_s": None, "tls": False, "tcp_state": "ESTABLISHED"},
    ),
    "http_with_long_timeout": ("socket_recv", {"timeout_s": 300.0}),
    "http_with_short_timeout": ("idle", {"timeout_s": 30.0}),
    "ipv6": ("socket_recv", {"peer_pid_": True}),
    "kernel_timeout": ("socket_recv", {"peer_pid_": True}),
    "send_to_full_socket": ("socket_recv", {"unacknowledged_bytes_": True}),
    "tls_read": ("socket_recv", {"tls": True}),
    "udp_answer": ("socket_recv", {"remote_": True}),
    "select_for_read": ("socket_recv", {"remote_": True}),
    "epoll_on_one_client": ("socket_recv", {"remote_": True}),
    "pipe_of_dead_writer": ("pipe_read", {"nobody_left": True}),
    "pipe_of_grandchild": ("child_wait", {"child_": True}),
    "file_lock_of_dead_maker": ("file_lock", {"holder_pid_": True, "path_": True}),
    "sqlite_in_one_process": ("db_wait", {"db": "sqlite", "path_": True}),
    "lock_of_dead_process": ("mp_lock_orphaned", {"semlock": "lock", "holder": "dead"}),
    "event_of_process": ("event_wait", {}),
    "bounded_queue_of_processes": ("queue_wait", {}),
    "manager_queue": ("unix_recv", {"peer_pid_": True}),
}


@pytest.mark.parametrize("name", MAIN)
def test_the_main_thread_is_told_what_it_waits_for(start, name):
    category, evidence = MAIN[name]
    assert_thread(look_at(start("hang_channels", name)).thread(), category, **evidence)


WITH_CHILD = {
    "unix_stream": ("unix_recv", "peer_pid"),
    "child_output": ("pipe_read", "peer_pid"),
    "child_wait": ("child_wait", "child"),
    "sqlite_wal": ("db_wait", "holder_pid"),
    "process_join": ("child_wait", "child"),
    "lock_of_process": ("mp_lock_wait", "holder_pid"),
}


@pytest.mark.parametrize("name", WITH_CHILD)
def test_the_process_at_the_other_end_is_named_and_is_the_root_cause(start, name):
    category, key = WITH_CHILD[name]
    told = look_at(start("hang_channels", name))
    assert_thread(told.thread(), category, **{key: told.truth["child"]})
    assert told.root_causes == [("sleep", told.truth["child"])]
    assert told.answer["root_causes"][0]["blocked"] == [told.truth["pid"]]


@pytest.mark.parametrize("name", ["http_without_timeout", "select_for_read"])
def test_the_server_on_this_machine_is_named(start, name):
    told = look_at(start("hang_channels", name))
    assert_thread(told.thread(), "socket_recv", peer_pid=told.truth["server"])
    assert_thread(told.thread(pid=told.truth["server"]), "idle", listening_=True)
    assert told.root_causes == []


CYCLES = {
    "unix_cycle_in_loops": ("ipc_cycle", "ipc_cycle"),
    "locks_of_processes_crossed": ("ipc_cycle", "ipc_cycle"),
    "file_locks_crossed": ("file_lock", "file_lock"),
    "process_join_with_full_queue": ("child_wait", "join_wait"),
}


@pytest.mark.parametrize("name", CYCLES)
def test_processes_that_wait_for_each_other_are_a_knot(start, name):
    told = look_at(start("hang_channels", name))
    own, others = CYCLES[name]
    child = told.truth["child"]
    assert told.thread()["category"] == own
    assert told.thread(pid=child)["category"] == others
    assert {told.process(pid)["state"] for pid in (told.truth["pid"], child)} == {"hung"}
    (cause,) = told.answer["root_causes"]
    assert {told.truth["pid"], child} <= {*cause["blocked"]}


def test_of_any_child_all_are_named(start):
    told = look_at(start("hang_channels", "any_child"))
    assert_thread(told.thread(), "child_wait", child=told.truth["children"])


def test_no_timeout_on_an_http_server_is_a_known_hang(start):
    assert look_at(start("hang_channels", "http_without_timeout")).patterns == ["R5"]
    assert look_at(start("hang_channels", "http_with_long_timeout")).patterns == []


HEALTHY = ["healthy_server", "healthy_workers", "healthy_executor", "healthy_manager", "healthy_spawned"]


@pytest.mark.parametrize("name", HEALTHY)
def test_the_healthy_are_said_to_be_healthy(start, name):
    told = look_at(start("hang_channels", name))
    assert [one for one in told.threads if one["category"] not in CALM] == []
    assert {one["state"] for one in told.answer["processes"]} <= {"idle", "busy"}
    assert told.root_causes == []
    assert told.patterns == []
