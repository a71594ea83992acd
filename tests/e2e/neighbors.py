"""The services beside Airflow: gunicorn with --preload, and a Celery worker with a prefork pool."""

from __future__ import annotations

from tests.e2e.machine import Machine, answers, free_ports, wait_for
from tests.e2e.started import Started, descendants, identity

GUNICORN_WORKERS = 3
CELERY_WORKERS = 3
SECONDS_TO_START = 90


def start_gunicorn(machine: Machine) -> Started:
    """Start a gunicorn that loads its application before it forks."""
    port = free_ports(1)[0]
    options = ["--preload", "--workers", str(GUNICORN_WORKERS), "--bind", f"127.0.0.1:{port}"]
    return _start(machine, "gunicorn", [*options, "--no-control-socket", "e2e_web:application"], port, GUNICORN_WORKERS)


def start_celery(machine: Machine) -> Started:
    """Start a Celery worker whose broker is a folder."""
    options = ["--pool", "prefork", "--concurrency", str(CELERY_WORKERS), "--without-gossip", "--without-mingle"]
    return _start(machine, "celery", ["-A", "e2e_celery", "worker", *options], None, CELERY_WORKERS)


def _start(machine: Machine, name: str, arguments: list[str], port: int | None, workers: int) -> Started:
    started = machine.ledger.start(
        name,
        [str(machine.services / name), *arguments],
        variables=machine.variables,
        folder=machine.run / "home",
        become=identity(machine.uid, machine.gid),
    )

    def is_up() -> bool:
        is_forked = len(descendants(started.pid)) == 1 + workers
        return is_forked and (port is None or answers(f"http://127.0.0.1:{port}/"))

    wait_for(f"{name}'s workers", is_up, SECONDS_TO_START, [started])
    machine.say(f"{name} {started.pid} with {workers} workers")
    return started
