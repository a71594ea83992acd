"""The real scheduler recorded: attached to while it runs, started under memray with its workers, by Airflow's own switch."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.airflow import WORKERS, Airflow
from tests.e2e.machine import Machine, free_ports, wait_for
from tests.e2e.started import Started, descendants, identity
from tests.live.tree import read_stat

Ask = Callable[..., Any]
SECONDS_TO_RECORD = 240
LOOPS = "6"
MOST_ASKED = 10


@pytest.fixture(scope="module")
def place(machine: Machine) -> Path:
    """The folder of all traces, which Airflow's user may write."""
    shutil.rmtree(machine.run / "traces", ignore_errors=True)
    return machine.own(machine.run / "traces")


@pytest.fixture(scope="module")
def second(airflow: Airflow) -> dict[str, str]:
    """The environment of a second scheduler beside the one that runs: its own ports, and airmem."""
    health, logs = map(str, free_ports(2))
    return {
        **airflow.machine.variables,
        **airflow.variables,
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": health,
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": logs,
    }


@pytest.fixture(scope="module")
def trace(machine: Machine, second: dict[str, str]) -> Callable[..., Any]:
    """Run `airmem trace` as Airflow's user, to its end."""

    def run(*words: object, **more: Any) -> Any:
        return subprocess.run(
            [str(machine.airmem), "trace", *map(str, words)],
            env={**second, **more},
            cwd=machine.run / "home",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_RECORD,
            check=False,
            preexec_fn=identity(machine.uid, machine.gid),
        )

    return run


def launch(machine: Machine, environment: dict[str, str], *words: object) -> Started:
    """Start `airmem trace` as Airflow's user, to be ended by a test."""
    return machine.ledger.start(
        f"trace-{time.monotonic_ns()}",
        [str(machine.airmem), "trace", *map(str, words)],
        variables=environment,
        folder=machine.run / "home",
        become=identity(machine.uid, machine.gid),
    )


def traces_in(trace: Callable[..., Any], place: Path) -> list[dict[str, Any]]:
    """Return what `airmem trace --list` says of a place."""
    done = trace("--list", "-o", place, "--format", "json")
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["traces"])


def children_of(pid: int) -> set[int]:
    """Return the workers and servers that a scheduler forked; tasks below them come and go."""
    return {one for one in descendants(pid) if read_stat(one)[1] == pid}


def tracer_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("TracerPid:")[2].split()[0])


def switches_of(pid: int) -> str:
    """Return how often a process was put on a processor and taken off: it tells whether it has run."""
    return Path(f"/proc/{pid}/schedstat").read_text().split()[2]


def test_a_scheduler_that_runs_is_not_started_twice(airflow: Airflow, trace, place):
    done = trace("scheduler", "--yes", "-o", place)
    assert done.returncode == 2
    assert f"airmem trace --attach {airflow.components['scheduler'].pid} --duration 60" in done.stderr
    assert [*place.iterdir()] == []


def test_the_running_scheduler_is_recorded_and_left_as_it_was(airflow: Airflow, trace, place, machine: Machine):
    if shutil.which("gdb") is None:
        pytest.skip("memray attaches through gdb, which is not here")
    pid = airflow.components["scheduler"].pid
    before = children_of(pid)
    done = trace("--attach", pid, "--duration", "6", "--yes", "-o", place / "attached")
    assert done.returncode == 0, done.stderr
    machine.keep("trace-attach.txt", done.stdout)
    assert "the time was up; memray has left the process" in done.stdout
    (one,) = traces_in(trace, place / "attached")
    assert [file["verdict"] for file in one["files"]] == ["complete"]
    assert one["files"][0]["pid"] == pid
    assert tracer_of(pid) == 0
    assert str(place) not in Path(f"/proc/{pid}/maps").read_text()
    assert children_of(pid) >= before


def test_root_records_it_as_its_own_user(airflow: Airflow, machine: Machine, superuser, place):
    if shutil.which("gdb") is None:
        pytest.skip("memray attaches through gdb, which is not here")
    pid = airflow.components["dag-processor"].pid
    folder = machine.run / "root-traces"
    shutil.rmtree(folder, ignore_errors=True)
    done = machine.run_airmem("trace", "--attach", pid, "--duration", "3", "--yes", "--no-analyze", "-o", folder)
    assert done.returncode == 0, done.stderr
    (capture,) = folder.glob("*/*.bin")
    assert capture.stat().st_uid == machine.uid  # written by the process itself, in a folder that root made for it
    assert capture.stat().st_mode & 0o077 == 0
    assert tracer_of(pid) == 0
    assert "complete" in done.stdout


def test_an_idle_worker_is_refused(airflow: Airflow, ask: Ask, machine: Machine, superuser, place):
    if shutil.which("gdb") is None:
        pytest.skip("memray attaches through gdb, which is not here")
    airflow.let_go()
    pid = airflow.components["scheduler"].pid

    def idle() -> list[int]:
        return [row["pid"] for row in ask("ps", pid)["services"] if row["activity"] == "<idle>"]

    for _ in range(MOST_ASKED):
        worker = wait_for("an idle worker", idle, SECONDS_TO_RECORD, [airflow.components["scheduler"]])[0]
        before = switches_of(worker)
        done = machine.run_airmem("trace", "--attach", worker, "--yes", "-o", place / "idle")
        assert tracer_of(worker) == 0
        if switches_of(worker) == before:
            break  # otherwise it got a task meanwhile, and was none of those that stand still
    assert switches_of(worker) == before
    assert done.returncode == 5, done.stderr
    assert f"no thread of process {worker} has run for 3" in done.stderr


def test_a_scheduler_and_its_workers_are_recorded(airflow: Airflow, trace, place, machine: Machine):
    done = trace("scheduler", "--new", "--yes", "-o", place / "launched", "--", "--num-runs", LOOPS)
    machine.keep("trace-scheduler.txt", done.stderr)
    assert done.returncode == 0, done.stderr
    (one,) = traces_in(trace, place / "launched")
    parents = [file for file in one["files"] if file["role"] == "parent"]
    children = [file for file in one["files"] if file["role"] == "child"]
    assert [file["verdict"] for file in parents] == ["complete"]
    assert len(children) >= WORKERS
    assert {file["verdict"] for file in children} <= {"ended_early", "complete"}
    assert len({file["pid"] for file in one["files"]}) == len(one["files"])
    report = done.stderr.lower()
    for distribution in ("sqlalchemy", "apache-airflow-core", "apache-airflow-task-sdk"):
        assert distribution in report


def test_a_second_start_works_and_replaces_nothing(trace, place, machine: Machine):
    before = {path: path.stat().st_mtime_ns for path in (place / "launched").glob("*/*.bin*")}
    done = trace("scheduler", "--new", "--yes", "--no-analyze", "-o", place / "launched", "--", "--num-runs", "2")
    assert done.returncode == 0, done.stderr
    assert len(traces_in(trace, place / "launched")) == 2
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize("way", ["SIGTERM", "SIGKILL"])
def test_the_end_of_a_scheduler_is_told(way, trace, second, place, machine: Machine):
    folder = place / way
    started = launch(machine, second, "scheduler", "--new", "--yes", "--no-analyze", "-o", folder)
    servers = 2  # for logs and health
    wait_for("workers", lambda: len([*folder.glob("*/*.bin.*")]) >= WORKERS + servers, SECONDS_TO_RECORD, [started])
    pid = json.loads(next(folder.glob("*/trace.json")).read_text())["pid"]
    tree = [*descendants(pid)]
    if way == "SIGTERM":
        os.kill(started.pid, signal.SIGTERM)  # airmem passes it on
    else:
        os.kill(pid, signal.SIGKILL)
    assert started.child is not None
    status = started.child.wait(SECONDS_TO_RECORD)
    for one in tree:
        if way == "SIGKILL" and Path(f"/proc/{one}").exists():
            os.kill(one, signal.SIGKILL)  # workers of a scheduler that was killed live on for ever
    assert status == (137 if way == "SIGKILL" else 0), started.last_lines()
    (found,) = traces_in(trace, folder)
    (parent,) = [file for file in found["files"] if file["role"] == "parent"]
    assert parent["verdict"] == ("killed" if way == "SIGKILL" else "complete")


@pytest.fixture
def small_disk(machine: Machine, superuser) -> Iterator[Path]:
    """A file system of 6 MiB."""
    folder = machine.own(machine.run / "disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size=6m,uid={machine.uid},gid={machine.gid}", "none", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told_and_the_scheduler_works_on(trace, second, small_disk, machine: Machine):
    options = ("--new", "--yes", "--no-analyze", "--budget", "2M", "-o", small_disk / "traces")
    started = launch(machine, second, "scheduler", *options, "--", "--num-runs", LOOPS)
    wait_for("a capture", lambda: [*small_disk.glob("traces/*/*.bin")], SECONDS_TO_RECORD, [started])
    room = os.statvfs(small_disk)
    with open(small_disk / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
    assert started.child is not None
    assert started.child.wait(SECONDS_TO_RECORD) == 0, started.last_lines()
    (small_disk / "filler").unlink()
    (one,) = traces_in(trace, small_disk / "traces")
    (parent,) = [file for file in one["files"] if file["role"] == "parent"]
    # a child may meet the full disk first, while airmem ends the parent's recording in time
    memray_gave_up = f"Failed to grow output file {parent['path']} " in started.log.read_text()
    machine.say(f"full disk: memray gave up: {memray_gave_up}; ended by {one['outcome']}, {parent['verdict']}")
    assert parent["verdict"] == ("disk_full" if memray_gave_up else "complete")
    assert memray_gave_up or one["outcome"] == "disk"


def test_airflows_own_switch_starts_twice(airflow: Airflow, trace, place, machine: Machine):
    home = machine.run / "home"
    stale = home / "scheduler_memory.bin"
    stale.write_bytes(b"of an earlier run")
    os.chown(stale, machine.uid, machine.gid)
    folder = place / "own-switch"
    for _ in range(2):
        done = trace(
            "scheduler", "--new", "--via-airflow", "--yes", "--no-analyze", "-o", folder, "--", "--num-runs", "2"
        )
        assert done.returncode == 0, done.stderr
    found = traces_in(trace, folder)
    assert [[file["verdict"] for file in one["files"]] for one in found] == [["complete"], ["complete"]]
    assert not stale.exists()
    (aside,) = home.glob("scheduler_memory-*.bin")
    assert aside.read_bytes() == b"of an earlier run"


def test_a_capture_that_cannot_be_moved_is_told_where_it_is(trace, small_disk, machine: Machine):
    options = ("--new", "--via-airflow", "--yes", "--no-analyze", "--budget", "2M", "-o", small_disk / "traces")
    done = trace("scheduler", *options, "--", "--num-runs", "2")
    assert done.returncode == 0, done.stderr
    (one,) = traces_in(trace, small_disk / "traces")  # another file system than Airflow's home
    assert [file["path"] for file in one["files"]] == [str(machine.run / "home" / "scheduler_memory.bin")]
    assert [file["verdict"] for file in one["files"]] == ["complete"]
