"""What the harness knows without airmem: who is who, and the kernel's own numbers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.e2e.airflow import WORKERS, Airflow, find_listener
from tests.e2e.neighbors import CELERY_WORKERS, GUNICORN_WORKERS
from tests.e2e.started import Place, Started, descendants
from tests.live.oracle import read_rollup
from tests.live.tree import read_stat, wait_until


@dataclass(frozen=True)
class Expected:
    """What `airmem ps` has to say about one process."""

    place: Place
    service: str
    component: str
    role: str
    parent_pid: int
    title: str | None = None


def expect_airflow(airflow: Airflow, tasks: list[dict[str, Any]], parser: dict[str, Any]) -> dict[int, Expected]:
    """Return every process of Airflow by pid, from what was started, who listens where, and the tasks' own words."""
    roles = {one.pid: (name, "parent") for name, one in airflow.components.items()}
    scheduler, triggerer = airflow.tree("scheduler"), airflow.tree("triggerer")
    (health,) = find_listener(airflow.ports["health"], scheduler)
    (logs,) = find_listener(airflow.ports["logs"], scheduler)
    (trigger_logs,) = find_listener(airflow.ports["trigger-logs"], triggerer)
    roles |= {health: ("scheduler", "health-server"), logs: ("scheduler", "log-server")}
    roles |= {one["parent_pid"]: ("scheduler", "worker") for one in tasks}
    roles |= {one["pid"]: ("scheduler", "task") for one in tasks}
    roles[trigger_logs] = ("triggerer", "log-server")
    runners = set(triggerer) - {trigger_logs, airflow.components["triggerer"].pid}
    roles |= dict.fromkeys(runners, ("triggerer", "runner"))
    roles[parser["pid"]] = ("dag-processor", "parser")
    assert len({one["parent_pid"] for one in tasks}) == WORKERS
    assert len(runners) == 1
    assert len(roles) == len(airflow.components) + 2 + 2 * WORKERS + 2 + 1
    titles = {one["pid"]: f"airflow worker -- {one['instance_id']}" for one in tasks}
    titles |= {one["parent_pid"]: f"airflow worker -- LocalExecutor: {one['instance_id']}" for one in tasks}
    titles |= dict.fromkeys((logs, trigger_logs), "airflow serve-logs")
    return {pid: _expected(pid, "airflow", *place, titles.get(pid)) for pid, place in roles.items()}


def expect_neighbors(gunicorn: Started, celery: Started) -> dict[int, Expected]:
    """Return the processes of gunicorn and Celery by pid: one of each was started, the others are its children."""
    found = {}
    for started, component, workers in (
        (gunicorn, "gunicorn", GUNICORN_WORKERS),
        (celery, "celery-worker", CELERY_WORKERS),
    ):
        tree = descendants(started.pid)
        assert len(tree) == 1 + workers
        for pid in tree:
            role = "parent" if pid == started.pid else "worker"
            found[pid] = _expected(pid, component.partition("-")[0], component, role, None)
    return found


def _expected(pid: int, service: str, component: str, role: str, title: str | None) -> Expected:
    place = descendants(pid)[pid]
    return Expected(place, service, component, role, read_stat(pid)[1], title)


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Stop processes, parents first, for as short a time as possible; let them go on whatever happens."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        for pid in pids:
            wait_until(lambda pid=pid: read_stat(pid)[0] in "TtZ", f"process {pid} to stop")
        yield
    finally:
        for pid in reversed(pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def read_account(pid: int) -> dict[str, int]:
    """Return the kernel's sums for a process, under airmem's names."""
    rows = read_rollup(pid)
    return {
        "rss_bytes": rows["Rss"],
        "pss_bytes": rows["Pss"],
        "uss_bytes": rows["Private_Clean"] + rows["Private_Dirty"],
        "pss_anon_bytes": rows["Pss_Anon"],
        "pss_shmem_bytes": rows["Pss_Shmem"],
    }


def read_status_rss(pid: int) -> int:
    """Return VmRSS, which is there for everybody."""
    return read_rollup(pid, "status")["VmRSS"]
