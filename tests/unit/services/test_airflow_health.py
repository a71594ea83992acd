"""What Airflow says of its health: answers as a real Airflow 3 gave them, in sickness too."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airmem.model.health import HealthAnswer
from airmem.services.airflow_health import judge_heartbeat, judge_monitor, judge_scheduler

AT_SECONDS = 1_763_640_000.0
MONITOR = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "2025-11-20T11:59:58.430147+00:00"},
    "triggerer": {"status": None, "latest_triggerer_heartbeat": None},
    "dag_processor": {"status": "healthy", "latest_dag_processor_heartbeat": "2025-11-20T11:59:20Z"},
}


def answer(status=200, problem="", **changed):
    body = {**MONITOR, **changed}
    return HealthAnswer(status=status, body=json.dumps(body).encode(), problem=problem)


def test_the_health_server_is_believed():
    assert judge_scheduler(HealthAnswer(status=200, body=b"", problem=""))[0]
    assert judge_scheduler(HealthAnswer(status=503, body=b"", problem="")) == (
        False,
        "the scheduler's health server answers 503",
    )
    assert "refused" in judge_scheduler(HealthAnswer(status=0, body=b"", problem="refused"))[1]


def test_what_stands_in_the_page_counts_and_not_its_status():
    assert judge_monitor(answer(), ()) == (True, "metadatabase, scheduler, dag_processor: healthy")
    sick = answer(scheduler={"status": "unhealthy"})
    assert judge_monitor(sick, ()) == (False, "scheduler is unhealthy")
    assert judge_monitor(sick, ("dag_processor",))[0]
    assert judge_monitor(answer(), ("triggerer",)) == (False, "triggerer is unknown")
    assert judge_monitor(answer(metadatabase={"status": None}), ()) == (False, "metadatabase is unknown")


def test_a_heartbeat_has_an_age():
    assert judge_heartbeat(answer(), (), AT_SECONDS, 60.0)[0]
    assert judge_heartbeat(answer(), (), AT_SECONDS, 30.0) == (False, "dag_processor's last heartbeat is 40 s old")
    assert judge_heartbeat(answer(), ("scheduler",), AT_SECONDS, 30.0)[0]
    assert judge_heartbeat(answer(), ("triggerer",), AT_SECONDS, 30.0) == (False, "triggerer has no heartbeat")
    odd = answer(scheduler={"latest_scheduler_heartbeat": "yesterday"})
    assert judge_heartbeat(odd, ("scheduler",), AT_SECONDS, 30.0) == (False, "scheduler has no heartbeat")


@pytest.mark.parametrize("judge", [lambda one: judge_monitor(one, ()), lambda one: judge_heartbeat(one, (), 0.0, 1.0)])
@pytest.mark.parametrize(
    ("one", "words"),
    [
        (HealthAnswer(status=0, body=b"", problem="timed out"), "timed out"),
        (HealthAnswer(status=502, body=b"{}", problem=""), "502"),
        (HealthAnswer(status=200, body=b"<html>", problem=""), "no JSON"),
        (HealthAnswer(status=200, body=b"[1]", problem=""), "no JSON"),
    ],
)
def test_no_usable_answer_is_sickness(judge, one, words):
    is_healthy, told = judge(one)
    assert not is_healthy
    assert words in told


@given(st.binary())
def test_any_body_is_taken(body):
    one = HealthAnswer(status=200, body=body, problem="")
    judge_monitor(one, ("scheduler",))
    judge_heartbeat(one, (), 0.0, 1.0)


@given(
    st.dictionaries(st.sampled_from([*MONITOR]), st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text())))
)
def test_any_shape_is_taken(shape):
    one = HealthAnswer(status=200, body=json.dumps(shape).encode(), problem="")
    judge_monitor(one, ())
    judge_heartbeat(one, (), 0.0, 1.0)
