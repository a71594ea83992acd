"""The same Airflow after its tasks: the workers wait, and have stayed as the tasks left them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.airflow import WORKERS, Airflow
from tests.e2e.machine import Machine, wait_for

SECONDS_TO_IDLE = 90
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def idle(airflow: Airflow, tasks: list[dict[str, Any]], ask: Ask) -> list[dict[str, Any]]:
    """The workers' rows in `airmem ps` at a moment when all wait."""
    airflow.let_go()
    pid = airflow.components["scheduler"].pid

    def rows() -> list[dict[str, Any]]:
        found = [row for row in ask("ps", pid)["services"] if row["role"] in ("worker", "task")]
        return found if all(row["activity"] == "<idle>" for row in found) else []

    return wait_for("idle workers", rows, SECONDS_TO_IDLE, [*airflow.components.values()])


def test_the_same_workers_wait(idle, tasks):
    assert {row["pid"] for row in idle} == {one["parent_pid"] for one in tasks}
    assert {row["role"] for row in idle} == {"worker"}
    assert {row["title"] for row in idle} == {"airflow worker -- LocalExecutor: <idle>"}
    assert len(idle) == WORKERS


def test_idle_workers_stay_unreadable(idle, airflow: Airflow, ask: Ask, machine: Machine):
    answer = ask("pss", airflow.components["scheduler"].pid, uid=machine.uid, gid=machine.gid)
    reasons = {gap["pid"]: gap["reason"] for gap in answer["gaps"] if gap["fact"] == "pss_bytes"}
    assert {row["pid"] for row in idle} <= reasons.keys()
    assert {reasons[row["pid"]] for row in idle} == {"not_dumpable"}


def test_root_reads_them(idle, airflow: Airflow, superuser, ask: Ask, machine: Machine):
    answer = ask("pss", airflow.components["scheduler"].pid)
    rows = {row["pid"]: row for row in answer["processes"]}
    assert all(rows[row["pid"]]["pss_bytes"] for row in idle)
    assert answer["tree"]["unreadable_count"] == 0
    for command in ("ps", "pss"):
        machine.keep(f"{command}-idle.txt", machine.run_airmem(command, answer["tree"]["root_pid"]).stdout)
