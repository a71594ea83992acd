"""What the components of a real Airflow import, in the interpreter of the scheduler that runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.airflow import Airflow
from tests.e2e.machine import Machine

MB = 1_000_000


@pytest.fixture(scope="module")
def answer(airflow: Airflow, ask: Any) -> dict[str, Any]:
    """The scheduler's imports with libcst blocked; the interpreter is found by the component that runs."""
    found = ask("imports", "--component", "scheduler", "--without", "libcst", "--workers", "32")
    assert isinstance(found, dict)
    return found


def test_the_interpreter_is_the_schedulers(answer: dict[str, Any], machine: Machine) -> None:
    assert answer["python"]["executable"].startswith(str(machine.services.parent))
    assert answer["asked"][:2] == ["airflow.__main__", "airflow.cli.commands.scheduler_command"]
    assert answer["asked"][2] == "airflow.executors.local_executor"


def test_the_sums_hold(answer: dict[str, Any]) -> None:
    totals = answer["totals"]
    assert totals["module_count"] > 1000
    assert totals["own_sum_bytes"] == pytest.approx(totals["walked_growth_bytes"], rel=0.03)
    named = {one["distribution"]: one["own_bytes"] for one in answer["distributions"]}
    assert {"sqlalchemy", "apache-airflow-core", "apache-airflow-task-sdk", "standard library"} <= named.keys()
    assert named["sqlalchemy"] > 10 * MB


def test_libcst_is_one_line_and_can_go(answer: dict[str, Any]) -> None:
    (libcst,) = [one for one in answer["modules"] if one["name"] == "libcst"]
    assert [line["path"].rpartition("site-packages/")[2] for line in libcst["lines"]] == [
        "airflow/sdk/definitions/_internal/decorators.py"
    ]
    (blocked,) = answer["without"]
    assert blocked["saved_bytes"] == pytest.approx(blocked["predicted_bytes"], rel=0.2)


@pytest.mark.parametrize("component", ["dag-processor", "api-server", "triggerer"])
def test_every_component_can_be_asked(component: str, airflow: Airflow, machine: Machine, ask: Any) -> None:
    found = ask("imports", "--component", component, "--python", machine.services.parent)
    assert found["component"] == component
    assert found["totals"]["growth_bytes"] > 50 * MB
