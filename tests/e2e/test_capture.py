"""A capture of a real Airflow answers as the running one does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.airflow import Airflow
from tests.e2e.machine import Machine
from tests.e2e.started import descendants
from tests.e2e.truth import stopped

MIB = 1 << 20
MARGIN_BYTES = MIB
"""Between one reading and the next: other programs that map the same libraries, and what the kernel counts in batches."""

CHANGING = ("taken_at_seconds", "took_seconds", "summary", "evidence")


@pytest.fixture
def capture(machine: Machine) -> None:
    """Skip where this airmem cannot capture yet."""
    if machine.run_airmem("capture", "--help").returncode:
        pytest.skip("needs airmem capture")


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Yield where two answers differ: sizes by more than the margin, anything else that does not tell the time."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if key not in CHANGING:
                yield from differences(one.get(key), other.get(key), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for at, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{path}[{at}]")
    elif path.endswith("_bytes") and isinstance(one, int) and isinstance(other, int):
        if abs(one - other) > MARGIN_BYTES or (path.endswith(".rss_bytes") and one != other):
            yield f"{path}: {one} and {other}"
    elif one != other:
        yield f"{path}: {one!r} and {other!r}"


@pytest.mark.parametrize("command", ["pss", "ps"])
@pytest.mark.usefixtures("capture", "tasks")
def test_a_capture_answers_as_the_live_tree(command, airflow: Airflow, machine: Machine, tmp_path: Path):
    pid = airflow.components["scheduler"].pid
    path = tmp_path / "scheduler.airmem"
    question = [command, pid, "--format", "json"]
    with stopped([*descendants(pid)]):
        live = machine.run_airmem(*question)
        taken = machine.run_airmem("capture", pid, "-o", path)
    assert live.returncode == 0, live.stderr
    assert taken.returncode == 0, taken.stderr
    replayed = machine.run_airmem(*question, "--from", path)
    assert replayed.returncode == 0, replayed.stderr
    wrong = differences(json.loads(live.stdout), json.loads(replayed.stdout))
    assert [line for line in wrong if "up_seconds" not in line] == []
    assert path.stat().st_mode & 0o077 == 0
