from __future__ import annotations

import pytest

from airmem.rules.known_hangs import check_known
from tests.unit.rules.standing import frame, role, tree, wait

EXECUTOR = "/site-packages/airflow/executors/local_executor.py"
SCHEDULER = {1: role("scheduler", "parent"), 2: role("scheduler")}


def codes(waits, roles=None):
    return [one.code for one in check_known(waits, roles or {})]


def two_pipes(function):
    """Return a scheduler and a worker that write to each other through `function`."""
    frames = {pid: (frame("_send"), frame(function)) for pid in (1, 2)}
    return tree(
        wait(1, "pipe_write", (2, None), needs_all=False),
        wait(2, "pipe_write", (1, None), needs_all=False),
        parents={2: 1},
        frames=frames,
    )


def test_r1_is_an_executor_and_a_worker_that_both_put():
    assert codes(two_pipes("SimpleQueue.put"), SCHEDULER) == ["R1"]
    assert codes(two_pipes("SimpleQueue.put")) == []
    assert codes(two_pipes("send"), SCHEDULER) == []


def test_r2_is_a_lock_inherited_across_fork():
    assert codes(tree(wait(1, "fork_lock", nobody=True, evidence={"lock": "L"}))) == ["R2"]
    assert codes(tree(wait(1, "lock_wait", evidence={"lock": "L"}))) == []


def test_r3_is_a_parent_that_joins_an_orphaned_child():
    orphan = wait(2, "mp_lock_orphaned", nobody=True)
    assert codes(tree(wait(1, "child_wait", (2, None)), orphan)) == ["R3"]
    assert codes(tree(wait(1, "idle"), orphan)) == []


def test_r4_is_a_blocked_loop_and_a_triggerer_s_heartbeat_lies():
    waits = tree(wait(1, "asyncio_blocked", evidence={"coroutine": "run", "blocked_by": "sleep"}))
    assert codes(waits) == ["R4"]
    (pattern,) = check_known(waits, {1: role("triggerer", "runner")})
    assert "heartbeat" in pattern.remedy
    assert codes(tree(wait(1, "asyncio_starved", nobody=True))) == []


@pytest.mark.parametrize(
    ("file", "timeout_s", "expected"),
    [
        ("/site-packages/urllib3/connection.py", None, ["R5"]),
        ("/site-packages/kubernetes/client/rest.py", None, ["R5"]),
        ("/site-packages/urllib3/connection.py", 300.0, []),
        ("/srv/own.py", None, []),
    ],
)
def test_r5_is_an_http_client_without_a_timeout(file, timeout_s, expected):
    evidence = {"remote": "10.0.0.1:443", "timeout_s": timeout_s}
    waits = tree(wait(1, "socket_recv", evidence=evidence), frames={1: (frame("readinto"), frame("urlopen", file))})
    assert codes(waits) == expected


def test_r6_names_what_to_ask_the_database():
    (pattern,) = check_known(tree(wait(1, "db_wait", evidence={"db": "postgres", "local_port": 40404})), {})
    assert pattern.code == "R6"
    assert "client_port = 40404" in pattern.remedy
    assert codes(tree(wait(1, "db_wait", evidence={"db": "sqlite", "path": "/a.db"}))) == []


def test_r7_is_a_supervisor_without_a_living_task():
    supervising = (
        frame("select"),
        frame("_monitor_subprocess", "/site-packages/airflow/sdk/execution_time/supervisor.py"),
    )
    roles = {1: role("scheduler", "worker", "task 7")}
    waits = tree(wait(1, "idle"), parents={2: 1}, frames={1: supervising}, zombies=(2,))
    assert codes(waits, roles) == ["R7"]
    assert codes(tree(wait(1, "idle"), wait(2, "sleep"), parents={2: 1}, frames={1: supervising}), roles) == []


def test_r8_is_a_parser_about_to_be_killed():
    roles = {1: role("dag-processor", "parser")}
    assert codes(tree(wait(1, "socket_recv"), ages_seconds={1: 45.0}), roles) == ["R8"]
    assert codes(tree(wait(1, "socket_recv"), ages_seconds={1: 5.0}), roles) == []
    assert codes(tree(wait(1, "socket_recv"), ages_seconds={1: 45.0})) == []


def test_r9_is_an_executor_whose_reader_was_killed():
    orphan = wait(2, "mp_lock_orphaned", nobody=True, evidence={"semlock": "_rlock"})
    frames = {2: (frame("__enter__"), frame("SimpleQueue.get"), frame("_run_worker", EXECUTOR))}
    assert codes(tree(wait(1, "idle"), orphan, frames=frames)) == ["R9"]
    assert codes(tree(wait(1, "idle"), orphan)) == []
