"""Which process a TARGET means, on captured trees and on this host."""

from __future__ import annotations

import os

import pytest

from airmem.collect.source import open_source
from airmem.errors import ProcessGone, UsageProblem
from airmem.questions import targets
from tests.unit.services.trees import CAPTURES


@pytest.fixture
def capture(monkeypatch):
    def use(name: str) -> None:
        import airmem.collect.source

        monkeypatch.setattr(airmem.collect.source, "open_source", lambda: open_source(str(CAPTURES / name)))

    return use


def test_a_pid_costs_no_look(monkeypatch):
    import airmem.collect.source

    monkeypatch.delattr(airmem.collect.source, "open_source")
    assert targets.resolve_target("1") == 1
    assert targets.resolve_target(" 4194304 ") == 4194304


@pytest.mark.parametrize("target", ["0", "-5", "+5", "4194305", "9" * 40, "²", "٣"])
def test_what_is_no_pid(target):
    with pytest.raises(UsageProblem, match="is no pid"):
        targets.resolve_target(target)


@pytest.mark.parametrize(
    ("name", "target", "pid"),
    [
        ("airflow-3.3.2", "scheduler", 9061),
        ("airflow-3.3.2", "dag-processor", 9127),
        ("airflow-3.3.2", "DAG_PROCESSOR", 9127),
        ("airflow-3.3.2", "api_server", 8920),
        ("airflow-3.3.2-busy", None, 9061),
        ("airflow-3.3.2-busy", "airflow", 9061),
        ("gunicorn", "gunicorn", 14088),
        ("celery", "celery-worker", 14091),
        ("celery", "celery", 14091),
        ("multiprocessing-fork", "multiprocessing", 14099),
        ("multiprocessing-fork", None, 14099),
    ],
)
def test_a_component_is_its_parent_process(capture, name, target, pid):
    capture(name)
    assert targets.resolve_target(target) == pid


def test_several_candidates_are_listed(capture):
    capture("airflow-3.3.2")
    with pytest.raises(UsageProblem, match="4 services run here") as caught:
        targets.resolve_target(None)
    assert [line.split()[:2] for line in caught.value.lines] == [
        ["8920", "api-server"],
        ["9061", "scheduler"],
        ["9127", "dag-processor"],
        ["9133", "triggerer"],
    ]


def test_a_component_that_does_not_run_is_gone(capture):
    capture("gunicorn")
    with pytest.raises(ProcessGone, match="no scheduler runs here") as caught:
        targets.resolve_target("scheduler")
    assert "airflow scheduler" in caught.value.remedy


@pytest.mark.parametrize(("target", "hint"), [("shedler", "scheduler"), ("gunicrn", "gunicorn"), ("celeri", "celery")])
def test_a_near_name_is_suggested(capture, target, hint):
    capture("gunicorn")
    with pytest.raises(UsageProblem, match="no component") as caught:
        targets.resolve_target(target)
    assert hint in caught.value.remedy


@pytest.mark.parametrize("target", ["worker", "parent", "log_server"])
def test_a_role_is_no_component(capture, target):
    capture("airflow-3.3.2")
    with pytest.raises(UsageProblem, match="is a role"):
        targets.resolve_target(target)


@pytest.mark.parametrize("target", ["", "\x1b[2J", "x" * 10_000, "/etc/passwd"])
def test_nonsense_is_a_usage_problem(capture, target):
    capture("gunicorn")
    with pytest.raises(UsageProblem):
        targets.resolve_target(target)


def test_airmem_and_what_started_it_are_not_the_obvious_tree():
    from airmem.questions.survey import survey_services

    survey = survey_services(open_source())
    assert survey.own_pids[:2] == (os.getpid(), os.getppid())
    assert os.getpid() not in survey.roles
