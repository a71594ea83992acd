from __future__ import annotations

from airmem.analysis.profile import sum_profile
from airmem.model.stack import Frame, ProcessStacks, ThreadStack


def look(pid, *functions, is_active=True):
    frames = tuple(Frame(function=name, file="a.py", line=1) for name in functions)
    thread = ThreadStack(tid=pid, ident=pid, name=None, is_active=is_active, owns_gil=False, frames=frames)
    return ProcessStacks(
        pid=pid, at_seconds=0.0, took_seconds=0.0, paused_seconds=0.0, has_locals=False, threads=(thread,)
    )


def figures(rows):
    return {row.function: (row.own_seconds, row.total_seconds, row.own_ratio, row.total_ratio) for row in rows}


def test_own_time_is_the_innermost_function_s_and_total_that_of_all_on_the_stack():
    rows = sum_profile(
        [look(1, "leaf", "main"), look(1, "leaf", "main"), look(1, "other", "main"), look(1, "main")], 8.0
    )
    assert figures(rows) == {
        "leaf": (4.0, 4.0, 0.5, 0.5),
        "other": (2.0, 2.0, 0.25, 0.25),
        "main": (2.0, 8.0, 0.25, 1.0),
    }
    assert rows[0].function == "leaf"
    assert sum(row.own_ratio for row in rows) == 1


def test_who_sleeps_does_not_count():
    assert sum_profile([look(1, "wait", is_active=False)], 1.0) == ()
    assert figures(sum_profile([look(1, "a"), look(2, "wait", is_active=False)], 1.0)) == {"a": (1.0, 1.0, 1.0, 1.0)}


def test_a_function_that_calls_itself_counts_once_in_its_total():
    assert figures(sum_profile([look(1, "visit", "visit", "main")], 1.0))["visit"] == (1.0, 1.0, 1.0, 1.0)


def test_processes_at_the_same_time_add_up():
    rows = sum_profile([look(1, "a"), look(2, "a")], 3.0)
    assert figures(rows)["a"] == (6.0, 6.0, 1.0, 1.0)
