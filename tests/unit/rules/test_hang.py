from __future__ import annotations

import pytest

from airmem.rules.hang import check_hang, find_root_causes, judge_confidence, judge_process, judge_states
from tests.unit.rules.standing import tree, wait


def state_of(waits, pid=1, last="S"):
    states = judge_states(waits, 60.0)
    process = waits.scene.snapshot.processes[pid]
    return judge_process(process, waits, states, role=None, last=last, paused_seconds=0.0)


@pytest.mark.parametrize(
    ("category", "since_seconds", "expected"),
    [
        ("socket_recv", 59.0, "waiting"),
        ("socket_recv", 61.0, "hung"),
        ("event_wait", 10_000.0, "waiting"),
        ("sleep", 10_000.0, "waiting"),
        ("idle", 10_000.0, "idle"),
        ("running", 0.0, "busy"),
        ("cpu_python", 0.0, "busy"),
        ("stopped", 10_000.0, "stopped"),
        ("frozen", 1.0, "stopped"),
        ("unreadable", 1.0, "unreadable"),
    ],
)
def test_only_what_should_have_ended_is_hung_by_time(category, since_seconds, expected):
    assert state_of(tree(wait(1, category, since_seconds=since_seconds))).state == expected


def test_a_program_that_is_not_python_may_read_for_ever():
    waits = tree(wait(1, "pipe_read", since_seconds=100.0), wait(2, "pipe_read", since_seconds=100.0), frames={1: ()})
    assert (state_of(waits, 1).state, state_of(waits, 2).state) == ("waiting", "hung")


def test_an_unknown_time_makes_nothing_hung():
    assert state_of(tree(wait(1, "socket_recv", since_seconds=None))).state == "waiting"


def test_what_nothing_can_end_is_hung_at_once():
    assert state_of(tree(wait(1, "self_deadlock", nobody=True, since_seconds=0.1))).state == "hung"


@pytest.mark.parametrize(("child", "expected"), [("idle", "idle"), ("running", "idle"), ("sleep", "waiting")])
def test_who_waits_for_a_child_is_as_well_as_the_child(child, expected):
    assert state_of(tree(wait(1, "child_wait", (2, None)), wait(2, child))).state == expected


def test_who_waits_for_a_hung_child_is_hung():
    waits = tree(wait(1, "child_wait", (2, None)), wait(2, "socket_recv", since_seconds=100.0))
    assert state_of(waits).state == "hung"


def test_who_waits_for_somebody_outside_the_tree_waits():
    assert state_of(tree(wait(1, "child_wait", (99, None)))).state == "waiting"


def test_a_process_that_ended_has_no_threads():
    waits = tree(wait(1, "sleep"), zombies=(2,), parents={2: 1})
    assert (state_of(waits, 2).state, state_of(waits, 2).threads) == ("zombie", ())


@pytest.mark.parametrize(
    ("wanted", "evidence", "expected"),
    [(True, {}, "certain"), (False, {"holder": "owner"}, "likely"), (False, {}, "possible")],
)
def test_confidence_tells_what_was_read_from_what_was_inferred(wanted, evidence, expected):
    assert judge_confidence(wait(1, "lock_wait", is_sure=wanted, evidence=evidence)) == expected


def test_the_root_cause_is_a_sentence():
    evidence = {"remote": "10.0.0.1:443", "timeout_s": None}
    waits = tree(
        *(wait(pid, "child_wait", (9, None)) for pid in range(1, 4)), wait(9, "socket_recv", evidence=evidence)
    )
    (cause,) = find_root_causes(waits, {})
    assert cause.summary == (
        "3 processes wait; all because process 9 waits in recv on 10.0.0.1:443, no timeout, called from main"
    )
    assert cause.blocked == (1, 2, 3)


def test_workers_that_wait_for_one_dead_holder_are_told_of_together():
    orphans = [
        wait(pid, "mp_lock_orphaned", nobody=True, evidence={"semlock": "_rlock", "holder": "dead"}) for pid in (2, 3)
    ]
    (cause,) = find_root_causes(tree(wait(1, "idle"), *orphans), {})
    assert cause.summary.startswith("2 processes wait for one lock, and 2 in all: process ")
    assert "whose holder is dead" in cause.summary


def test_findings_tell_of_the_hung_the_stopped_and_the_unreaped():
    waits = tree(
        wait(1, "self_deadlock", nobody=True),
        wait(2, "stopped"),
        zombies=(3, 4, 5, 6),
        parents=dict.fromkeys(range(3, 7), 1),
    )
    processes = tuple(state_of(waits, pid) for pid in waits.scene.snapshot.processes)
    assert [one.code for one in check_hang(processes, ())] == ["AM501", "AM502", "AM503"]
    calm = tree(wait(1, "idle"))
    assert check_hang((state_of(calm),), ()) == ()
