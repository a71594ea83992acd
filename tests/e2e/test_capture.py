"""A capture of a real Airflow answers as the running one does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.airflow import Airflow
from tests.e2e.machine import Machine
from tests.e2e.started import descendants
from tests.e2e.truth import stopped

HEAD = ("taken_at_seconds", "took_seconds")


@pytest.fixture
def capture(machine: Machine) -> None:
    """Skip where this airmem cannot capture yet."""
    if machine.run_airmem("capture", "--help").returncode:
        pytest.skip("needs airmem capture")


def test_a_capture_answers_as_the_live_tree(capture, airflow: Airflow, machine: Machine, superuser, tmp_path: Path):
    pid = airflow.components["scheduler"].pid
    path = tmp_path / "scheduler.airmem"
    with stopped([*descendants(pid)]):
        live = machine.run_airmem("pss", pid, "--depth", "rollup", "--format", "json")
        taken = machine.run_airmem("capture", pid, "-o", path)
    assert taken.returncode == 0, taken.stderr
    replayed = machine.run_airmem("pss", pid, "--depth", "rollup", "--from", path, "--format", "json")
    assert replayed.returncode == 0, replayed.stderr
    before, after = json.loads(live.stdout), json.loads(replayed.stdout)
    for key in HEAD:
        before.pop(key), after.pop(key)
    assert [row["pid"] for row in after["processes"]] == [row["pid"] for row in before["processes"]]
    assert after == before
