"""What is refused, what helps, and how much disk may be used."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airmem.errors import Interrupted, NotMeasurable, NotPermitted, ProcessGone, UsageProblem
from airmem.model.process import Process
from airmem.model.trace import Trace, TraceFile, TraceMode, TracePython, TraceSubject
from airmem.rules import trace as rules
from airmem.units import GIB, MIB

PROCESS = Process(
    pid=7, parent_pid=1, start_ticks=5, command="python", state="S", session_id=7, flags=0, thread_count=1, rss_pages=9
)
SUBJECT = TraceSubject(
    process=PROCESS,
    user_id=1,
    group_id=1,
    is_dumpable=True,
    tracer_pid=0,
    has_run=True,
    watched_seconds=0.1,
    wait_channel="0",
    recorded_into="",
    foreign_namespaces=(),
    refusal_reason="",
    refusal_detail="",
    pythons=(),
)
PYTHON = TracePython(executable="/p/python", version="3.11.7", memray_version="1.20.0", airflow_version="3.3.2")
FILE = TraceFile(path="/t/x.bin", pid=7, role="parent", size_bytes=9, verdict="unknown", detail="", is_recording=True)
TRACE = Trace(
    folder="/t",
    kind="attach",
    label="x",
    title="x",
    pid=7,
    mode=TraceMode(),
    began_at_seconds=0.0,
    ended_at_seconds=None,
    outcome="finished",
    stage="ended",
    is_watched=True,
    detail="",
    status=None,
    files=(FILE,),
)


@pytest.mark.parametrize(
    ("name", "component"),
    [("scheduler", "scheduler"), ("api", "api-server"), ("dag_processor", "dag-processor"), ("Triggerer", "triggerer")],
)
def test_a_component_has_several_names(name, component):
    assert rules.component_of(name) == component


def test_a_wrong_component_is_told_the_right_ones():
    with pytest.raises(UsageProblem, match="scheduler, api-server, dag-processor, triggerer"):
        rules.component_of("worker")


def test_nothing_speaks_against_a_process_that_works():
    assert rules.refuse_attach(SUBJECT) is None


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"has_run": False, "watched_seconds": 3.0, "wait_channel": "pipe_read"}, NotMeasurable, "waits in pipe_read"),
        ({"tracer_pid": 12}, NotMeasurable, "process 12 traces process 7 already"),
        ({"recorded_into": "/a.bin"}, NotMeasurable, "into /a.bin; a second recording would silently end the first"),
        ({"foreign_namespaces": ("mount", "network")}, NotMeasurable, "in another mount and network namespace"),
        ({"refusal_reason": "other_user", "refusal_detail": "uid 5"}, NotPermitted, "uid 5"),
        ({"is_dumpable": False, "has_run": False}, NotMeasurable, "no thread of process 7 has run"),
        ({"is_dumpable": False}, NotPermitted, "not dumpable: only root may attach"),
    ],
)
def test_each_obstacle_has_its_own_words(change, kind, words):
    problem = rules.refuse_attach(replace(SUBJECT, **change))
    assert isinstance(problem, kind)
    assert words in problem.cause
    assert problem.remedy


@pytest.mark.parametrize(
    ("python", "words"),
    [
        (None, "no Python of the target answers"),
        (replace(PYTHON, memray_version=""), "/p/python has no memray"),
        (replace(PYTHON, memray_version="1.9.1"), "1.15 or later is needed"),
    ],
)
def test_a_python_that_cannot_be_recorded_is_told(python, words):
    assert words in rules.refuse_python(python, ("/p/python",)).cause
    assert rules.refuse_python(PYTHON, ("/p/python",)) is None
    assert "no Python interpreter" in rules.refuse_python(None, ()).cause


def test_sums_alone_are_refused_only_where_children_would_lose_them():
    assert "os._exit" in rules.refuse_aggregated(TraceMode(is_aggregated=True)).cause
    assert rules.refuse_aggregated(TraceMode(is_aggregated=True, follows_forks=False)) is None
    assert rules.refuse_aggregated(TraceMode()) is None


@pytest.mark.parametrize(
    ("version", "component", "mode", "words"),
    [
        ("3.3.2", "triggerer", TraceMode(with_native=True, with_python_allocators=True), None),
        ("3.2.0", "scheduler", TraceMode(), None),
        ("3.2.1", "triggerer", TraceMode(), "3.2.2 and later can"),
        ("3.1.8", "scheduler", TraceMode(), "3.2.0 and later can"),
        ("3.2.2", "scheduler", TraceMode(with_native=True), "no detailed tracing"),
        ("", "scheduler", TraceMode(), "has no Airflow"),
    ],
)
def test_airflows_own_switch_needs_its_version(version, component, mode, words):
    problem = rules.refuse_via_airflow(replace(PYTHON, airflow_version=version), component, mode)
    assert problem is None if words is None else words in problem.cause


@pytest.mark.parametrize(
    ("free", "asked", "budget", "left"),
    [
        (100 * GIB, None, 2 * GIB, 200 * MIB),
        (5 * GIB, None, GIB, 200 * MIB),
        (400 * MIB, None, 80 * MIB, 200 * MIB),
        (8 * MIB, 3 * MIB, 3 * MIB, 4 * MIB),
    ],
)
def test_the_budget_leaves_room_for_others(free, asked, budget, left):
    found, least = rules.choose_budget(free, asked)
    assert (found, least) == (pytest.approx(budget, abs=1), left)


@pytest.mark.parametrize(("free", "asked"), [(300 * MIB, None), (GIB, GIB), (0, None), (8 * MIB, 5 * MIB)])
def test_without_room_nothing_begins(free, asked):
    with pytest.raises(NotMeasurable, match="are free there"):
        rules.choose_budget(free, asked)


@pytest.mark.parametrize(
    ("outcome", "detail", "kind", "words"),
    [
        ("deadline", "", NotMeasurable, "neither allocated nor reached the interpreter"),
        ("stopped", "", Interrupted, "stopped before"),
        ("target_gone", "", ProcessGone, "has ended"),
        ("failed", "ModuleNotFoundError(\"No module named 'memray'\")", NotMeasurable, "memray could not begin"),
    ],
)
def test_a_trace_that_did_not_come_about_says_how_the_process_was_left(outcome, detail, kind, words):
    problem = rules.explain_failure(replace(TRACE, files=(), outcome=outcome, detail=detail))
    assert isinstance(problem, kind)
    assert words in problem.cause
    assert problem.remedy


DENIED = "Failed to attach a debugger to the process. You most likely do not have permission to trace the process."


def test_a_debugger_that_was_refused_is_told_from_a_second_one():
    failed = replace(TRACE, files=(), outcome="failed", detail=DENIED)
    alone, second = rules.explain_failure(failed), rules.explain_failure(failed, "process 9 traces it just now")
    assert "airmem doctor 7" in alone.remedy
    assert "process 9 traces it just now" in second.cause
    assert "permission" not in second.cause
    assert "airmem trace --list" in second.remedy


def test_a_trace_that_came_about_has_not_failed():
    assert rules.explain_failure(TRACE) is None


@pytest.mark.parametrize(
    ("stage", "is_watched", "is_recording", "evidence"),
    [
        ("waiting", True, True, "held up by a call into C"),
        ("tracking", False, True, "its supervisor is gone"),
        ("tracking", True, True, None),
        ("ended", False, False, None),
    ],
)
def test_memray_that_is_left_in_a_process_is_told(stage, is_watched, is_recording, evidence):
    files = (replace(FILE, is_recording=is_recording),)
    findings = rules.check_left((replace(TRACE, stage=stage, is_watched=is_watched, files=files),))
    assert [evidence in one.evidence for one in findings] == ([] if evidence is None else [True])


def test_every_mode_says_what_it_costs():
    for mode in (TraceMode(), TraceMode(with_native=True), TraceMode(is_aggregated=True, follows_forks=False)):
        for kind in rules.UNSEEN:
            lines = rules.warn(kind, mode, GIB, 60.0, 20.0)
            assert "CPU x" in lines[0]
            assert len(lines) >= 3
