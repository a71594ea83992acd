"""What a collection does to idle workers of two Airflows: one that freezes before it forks, and one before it did so."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.airflow import SECONDS_TO_WORK, TASKS, Airflow, make_airflow
from tests.e2e.machine import Machine, wait_for
from tests.live.cow_truth import changed, in_bytes, read_anonymous
from tests.live.oracle import read_rollup

Ask = Callable[..., Any]
MIB = 1 << 20
COLLECT = signal.SIGRTMIN + 7
"""As in apps/sitecustomize.py."""

PROTECTED_BYTES = 2 * MIB
JUMP_RATIO = 0.05
LEAST_JUMP_BYTES = 20 * MIB
SECONDS_TO_IDLE = 120

pytestmark = pytest.mark.usefixtures("superuser", "page_frames")


@dataclass
class Jump:
    """What airmem said of an idle worker, and what a collection then copied."""

    row: dict[str, Any]
    copied_bytes: int
    before: dict[str, int]
    after: dict[str, int]
    frozen_count: int


@pytest.fixture
def page_frames() -> None:
    try:
        with open("/proc/kpageflags", "rb") as flags:
            flags.read(8)
    except OSError as problem:
        pytest.skip(f"needs CAP_SYS_ADMIN in the first user namespace: {problem.strerror}")


@pytest.fixture(scope="module")
def old_airflow(machine: Machine) -> Airflow:
    """Airflow 3.1.2 beside the other one, which forks its workers when there is something to do."""
    old = machine.beside("3.1.2")
    (old.run / "notes" / "hold-only").touch()  # a worker that is asked about must not get a task meanwhile
    made = make_airflow(old, None, "only its workers' pages are counted")
    made.start()
    names = [f"task-{number}" for number in range(TASKS)]
    needed = [*made.components.values()]
    wait_for("tasks in two workers", lambda: sum(map(bool, map(made.note, names))) >= 2, SECONDS_TO_WORK, needed)
    return made


def wait_idle(airflow: Airflow, ask: Ask) -> list[int]:
    """Let the tasks go and return the workers when all wait."""
    airflow.let_go()
    pid = airflow.components["scheduler"].pid
    tree = airflow.tree("scheduler")

    def workers() -> list[int]:
        rows = [one for one in ask("ps", pid)["services"] if one["role"] in ("worker", "task") and one["pid"] in tree]
        return [one["pid"] for one in rows] if rows and all(one["activity"] == "<idle>" for one in rows) else []

    return wait_for("idle workers", workers, SECONDS_TO_IDLE, [*airflow.components.values()])


def force(airflow: Airflow, ask: Ask, pid: int) -> Jump:
    """Ask what is at risk in an idle worker, have it collect, and count the pages that it copied."""
    row = next(one for one in ask("cow", airflow.components["scheduler"].pid)["workers"] if one["pid"] == pid)
    frames, before = read_anonymous(pid), read_rollup(pid)
    os.kill(pid, COLLECT)
    note = wait_for("a collection", lambda: airflow.note(f"collected-{pid}"), 60, [*airflow.components.values()])
    after = read_rollup(pid)
    copied = changed(frames, read_anonymous(pid))
    jump = Jump(row, in_bytes(copied), before, after, note["frozen_count"])
    airflow.machine.say(
        f"worker {pid}: {(row['at_risk_bytes'] or 0) / MIB:.2f} MiB at risk, {jump.copied_bytes / MIB:.2f} copied; "
        f"private {before['Private_Dirty'] / MIB:.1f} -> {after['Private_Dirty'] / MIB:.1f}, "
        f"RSS {before['Rss'] / MIB:.1f} -> {after['Rss'] / MIB:.1f} MiB, {jump.frozen_count} frozen"
    )
    return jump


def test_frozen_workers_are_protected(airflow: Airflow, ask: Ask, machine: Machine):
    workers = wait_idle(airflow, ask)
    jump = force(airflow, ask, workers[0])
    assert jump.row["collector"]["frozen_count"] == jump.frozen_count > 100_000
    assert jump.row["at_risk_bytes"] < PROTECTED_BYTES
    assert jump.copied_bytes < PROTECTED_BYTES
    done = machine.run_airmem("cow", airflow.components["scheduler"].pid)
    assert done.returncode == 0, done.stderr
    machine.keep("cow.txt", done.stdout)
    assert "gc.freeze is in effect" in done.stdout


def test_the_jump_of_unfrozen_workers_is_foretold(old_airflow: Airflow, ask: Ask, machine: Machine):
    workers = wait_idle(old_airflow, ask)
    machine.keep("cow-3.1.2.txt", machine.run_airmem("cow", old_airflow.components["scheduler"].pid).stdout)
    for pid in workers[:2]:
        jump = force(old_airflow, ask, pid)
        assert jump.frozen_count == 0
        assert jump.row["at_risk_bytes"] > LEAST_JUMP_BYTES
        assert abs(jump.row["at_risk_bytes"] - jump.copied_bytes) < JUMP_RATIO * jump.copied_bytes
        assert jump.after["Private_Dirty"] - jump.before["Private_Dirty"] > LEAST_JUMP_BYTES
        assert abs(jump.after["Rss"] - jump.before["Rss"]) < PROTECTED_BYTES
