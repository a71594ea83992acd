"""A healthy Airflow is said to be healthy, and what stands still in it is found: injected one after the other.

It runs last: the worker that is killed at the end leaves an executor that runs nothing any more.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.airflow import WORKERS, Airflow, answers
from tests.e2e.machine import Machine, wait_for
from tests.e2e.started import Started, identity
from tests.live.tree import is_gone, read_stat

COMPONENTS = ("scheduler", "dag-processor", "api-server", "triggerer")
CALM = {"idle", "busy"}
SECONDS = 120
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def idle(airflow: Airflow, ask: Ask) -> Airflow:
    """Airflow when no worker runs a task."""
    airflow.let_go()
    pid = airflow.components["scheduler"].pid

    def calm() -> bool:
        rows = [row for row in ask("ps", pid)["services"] if row["role"] == "worker"]
        return len(rows) == WORKERS and all(row["activity"] == "<idle>" for row in rows)

    wait_for("idle workers", calm, SECONDS, [*airflow.components.values()])
    return airflow


@pytest.fixture
def dump(airflow: Airflow, machine: Machine, ask: Ask) -> Callable[..., Any]:
    """Ask hang-dump about components, and keep what it says to people."""

    def run(note: str, *components: str, **_: object) -> Any:
        pids = [airflow.components[name].pid for name in components]
        answer = ask("hang-dump", *pids)
        machine.keep(f"hang-{note}.txt", machine.run_airmem("hang-dump", *pids).stdout)
        return answer

    return run


def threads_of(answer: Any, pid: int) -> list[Any]:
    """Return the threads of a process."""
    return next(one for one in answer["processes"] if one["pid"] == pid)["threads"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_healthy_airflow_is_idle_or_busy(idle, superuser, dump, component):
    answer = dump(f"healthy-{component}", component)
    told = {
        one["pid"]: (one["state"], [thread["category"] for thread in one["threads"]]) for one in answer["processes"]
    }
    assert {pid: what for pid, what in told.items() if what[0] not in CALM | {"zombie", "exited"}} == {}
    assert answer["root_causes"] == []
    assert answer["patterns"] == []


def test_neighbors_are_idle_or_busy(gunicorn: Started, celery: Started, superuser, ask: Ask, machine: Machine):
    answer = ask("hang-dump", gunicorn.pid, celery.pid)
    machine.keep("hang-neighbors.txt", machine.run_airmem("hang-dump", gunicorn.pid, celery.pid).stdout)
    assert {one["pid"]: one["state"] for one in answer["processes"] if one["state"] not in CALM} == {}
    assert answer["root_causes"] == []


@contextmanager
def locked_table(airflow: Airflow, table: str) -> Iterator[Started]:
    """Hold a table in PostgreSQL from a session of its own, until the end."""
    address = airflow.variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].partition("//")[2]
    code = (
        "import psycopg2, sys, time\n"
        "connection = psycopg2.connect('postgresql://' + sys.argv[1])\n"
        f"connection.cursor().execute('lock table {table} in access exclusive mode')\n"
        "print('locked', flush=True)\n"
        "time.sleep(600)\n"
    )
    machine = airflow.machine
    holder = machine.ledger.start(
        f"locker-{table}",
        [str(machine.services / "python"), "-c", code, address],
        variables=machine.variables,
        folder=machine.run / "home",
        become=identity(machine.uid, machine.gid),
    )
    try:
        wait_for("the lock", lambda: "locked" in holder.last_lines(), SECONDS, [holder])
        yield holder
    finally:
        os.kill(holder.pid, signal.SIGKILL)


def test_a_lock_in_the_database_is_found_with_what_to_ask_there(idle, superuser, dump, airflow: Airflow):
    pid = airflow.components["scheduler"].pid
    with locked_table(airflow, "dag_run"):

        def found() -> Any:
            answer = dump("database-lock", "scheduler")
            (main,) = threads_of(answer, pid)
            return (answer, main) if main["category"] == "db_wait" else None

        answer, main = wait_for("the scheduler in the database", found, SECONDS, [airflow.components["scheduler"]])
    assert main["evidence"]["db"] == "postgres"
    (pattern,) = [one for one in answer["patterns"] if one["code"] == "R6"]
    assert "pg_blocking_pids" in pattern["remedy"]
    assert f"client_port = {main['evidence']['local_port']}" in pattern["remedy"]


def test_a_stopped_scheduler_is_found(idle, superuser, dump, airflow: Airflow):
    pid = airflow.components["scheduler"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for("the scheduler to stop", lambda: read_stat(pid)[0] == "T", SECONDS)
        answer = dump("stopped", "scheduler")
    finally:
        os.kill(pid, signal.SIGCONT)
    process = next(one for one in answer["processes"] if one["pid"] == pid)
    assert process["state"] == "stopped"
    assert process["threads"][0]["category"] == "stopped"
    assert process["threads"][0]["frames"]
    assert "AM502" in {one["code"] for one in answer["findings"]}


def test_a_dag_file_that_asks_a_silent_server_is_found(idle, superuser, dump, airflow: Airflow):
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(64)
    port = server.getsockname()[1]
    path = airflow.notes / "silent-port"
    path.write_text(str(port))
    path.chmod(0o644)
    try:

        def found() -> Any:
            answer = dump("silent-server", "dag-processor")
            for process in answer["processes"]:
                for thread in process["threads"]:
                    if thread["evidence"].get("caller") == "ask_without_timeout":
                        return process, thread
            return None

        process, thread = wait_for("a parser that asks", found, SECONDS, [airflow.components["dag-processor"]])
    finally:
        path.unlink()
        server.close()
    assert thread["category"] == "socket_recv"
    assert thread["evidence"]["remote"] == f"127.0.0.1:{port}"
    assert thread["evidence"]["timeout_s"] is None
    assert process["role"] == "parser"


def test_a_killed_worker_that_held_the_queue_is_found_though_every_check_is_green(
    idle, superuser, dump, airflow: Airflow
):
    def reader() -> int | None:
        """Return the worker that all others name as the holder of the queue's lock."""
        threads = [one for process in dump("before-kill", "scheduler")["processes"] for one in process["threads"]]
        holders = [one["evidence"]["holder_pid"] for one in threads if one["evidence"].get("semlock") == "_rlock"]
        return int(holders[0]) if len(holders) == WORKERS - 1 and len({*holders}) == 1 else None

    pid = wait_for("the worker that reads the queue", reader, SECONDS, [airflow.components["scheduler"]])
    os.kill(pid, signal.SIGKILL)
    wait_for("the worker to end", lambda: is_gone(pid), SECONDS)

    def found() -> Any:
        answer = dump("orphaned-queue", "scheduler")
        orphans = [
            process
            for process in answer["processes"]
            if any(thread["category"] == "mp_lock_orphaned" for thread in process["threads"])
        ]
        return (answer, orphans) if len(orphans) >= WORKERS - 1 else None

    answer, orphans = wait_for("orphaned workers", found, SECONDS, [airflow.components["scheduler"]])
    assert {process["state"] for process in orphans} == {"hung"}
    assert "R9" in {one["code"] for one in answer["patterns"]}
    assert "mp_lock_orphaned" in {one["category"] for one in answer["root_causes"]}
    time.sleep(1)
    assert answers(f"http://127.0.0.1:{airflow.ports['health']}/health")  # nobody else has noticed
