"""Every captured tree is told apart process by process."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.unit.services.trees import CAPTURES, captured_roles

EXPECTED = {
    "gunicorn": {"gunicorn parent exec": 1, "gunicorn worker fork": 3},
    "gunicorn-preload": {"gunicorn parent exec": 1, "gunicorn worker fork": 2},
    "gunicorn-module": {"gunicorn parent exec": 1, "gunicorn worker fork": 1},
    "gunicorn-of-airflow-3.3.2": {"gunicorn parent exec": 1, "gunicorn worker fork": 2},
    "gunicorn-untitled": {"gunicorn parent exec": 1, "gunicorn worker fork": 2},
    "celery": {"celery-worker parent exec": 1, "celery-worker worker fork": 2, "celery-worker beat fork": 1},
    "celery-nosetps": {"celery-worker parent exec": 1, "celery-worker worker fork": 2},
    "celery-beat": {"celery-beat parent exec": 1},
    "uwsgi": {"uwsgi parent exec": 1, "uwsgi worker fork": 2, "uwsgi router fork": 1},
    "uwsgi-named": {"uwsgi parent exec": 1, "uwsgi worker fork": 2, "uwsgi router fork": 1},
    "uvicorn": {"uvicorn parent exec": 1, "uvicorn resource-tracker exec": 1, "uvicorn worker spawn": 2},
    "uvicorn-one": {"uvicorn parent exec": 1},
    "uvicorn-reload": {"uvicorn parent exec": 1, "uvicorn resource-tracker exec": 1, "uvicorn worker spawn": 1},
    "multiprocessing-fork": {"multiprocessing parent exec": 1, "multiprocessing worker fork": 3},
    "multiprocessing-forkserver": {
        "multiprocessing parent exec": 1,
        "multiprocessing resource-tracker exec": 1,
        "multiprocessing forkserver exec": 1,
        "multiprocessing worker forkserver": 3,
    },
    "multiprocessing-spawn": {
        "multiprocessing parent exec": 1,
        "multiprocessing resource-tracker exec": 1,
        "multiprocessing worker spawn": 3,
    },
    "airflow-3.3.2": {
        "api-server parent exec": 1,
        "scheduler parent exec": 1,
        "scheduler log-server fork": 1,
        "scheduler health-server fork": 1,
        "scheduler worker fork": 4,
        "dag-processor parent exec": 1,
        "dag-processor parser fork": 1,
        "triggerer parent exec": 1,
        "triggerer log-server fork": 1,
        "triggerer runner fork": 1,
    },
    "airflow-3.3.2-busy": {
        "scheduler parent exec": 1,
        "scheduler log-server fork": 1,
        "scheduler health-server fork": 1,
        "scheduler worker fork": 4,
        "scheduler task fork": 4,
    },
    "airflow-3.3.2-api-workers": {
        "api-server parent exec": 1,
        "api-server resource-tracker exec": 1,
        "api-server worker spawn": 2,
    },
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_captured_tree(name):
    roles = captured_roles(name).values()
    assert Counter(f"{one.component} {one.role} {one.start_method}" for one in roles) == EXPECTED[name]
    assert {one.service for one in roles} == {name.split("-")[0]}


def test_each_capture_of_a_service_is_tested_and_tells_its_origin():
    names = {folder.name for folder in CAPTURES.iterdir() if (folder / "proc").is_dir()}
    services = {name for name in names if name.split("-")[0] in {one.split("-")[0] for one in EXPECTED}}
    assert services == set(EXPECTED)
    assert [name for name in services if not (CAPTURES / name / "ORIGIN.md").is_file()] == []


def test_a_worker_says_what_it_does():
    roles = captured_roles("airflow-3.3.2-busy").values()
    tasks = [one.activity for one in roles if one.role == "task"]
    workers = [one.activity for one in roles if one.role == "worker"]
    assert sorted(workers) == sorted(tasks)
    idle = [one.activity for one in captured_roles("airflow-3.3.2").values() if one.role == "worker"]
    assert idle == ["<idle>"] * 4
