"""One real Airflow, one gunicorn and one Celery for all tests here; without AIRMEM_E2E=1 nothing is collected."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.airflow import Airflow, make_airflow
from tests.e2e.group import make_group, remove_group
from tests.e2e.machine import Machine, Say, find_machine
from tests.e2e.neighbors import start_celery, start_gunicorn
from tests.e2e.started import Ledger, Started

collect_ignore_glob = [] if os.environ.get("AIRMEM_E2E") == "1" else ["test_*.py"]

LONGEST_SECONDS = 25 * 60
LAST = "test_hang.py"
"""It kills a worker in a way that leaves an executor which runs nothing any more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests that break Airflow be the last."""
    items.sort(key=lambda item: item.path.name == LAST)


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Say:
    """Print progress past pytest's capture, with the time since the start."""
    began = time.monotonic()
    terminal = pytestconfig.pluginmanager.getplugin("terminalreporter")
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(f"[e2e {time.monotonic() - began:5.0f} s] {text}", flush=True)

    return write


@pytest.fixture(scope="session")
def limits() -> Iterator[None]:
    """End the session in order when it takes too long or is asked to end."""

    def stop(number: int, _frame: object) -> None:
        signal.alarm(0)
        pytest.exit(f"stopped by {signal.Signals(number).name} (SIGALRM: longer than {LONGEST_SECONDS} s)", 1)

    before = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGHUP)}
    signal.alarm(LONGEST_SECONDS)
    yield
    signal.alarm(0)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def machine(say: Say, limits: None) -> Iterator[Machine]:
    """The folders and environments, and at the end nothing that was started."""
    found = find_machine(say)
    with found.alone():
        if count := Ledger.end_leftovers(found.run / "started"):
            say(f"ended {count} processes that an interrupted run had left")
        began = time.monotonic()
        found.lay_out()
        found.install()
        say(f"environments in {found.cache}: {time.monotonic() - began:.0f} s; Airflow runs as uid {found.uid}")
        try:
            yield found
        finally:
            found.end()


@pytest.fixture(scope="session")
def group(machine: Machine) -> Iterator[tuple[Any, str]]:
    """A control group for the scheduler's tree, or None and why not."""
    made, why = make_group(f"airmem-e2e-{machine.token}")
    machine.say(f"control group {made}" if made else f"no control group: {why}")
    yield made, why
    if made:
        machine.end()
        remove_group(made)


@pytest.fixture(scope="session")
def airflow(machine: Machine, group: tuple[Any, str]) -> Airflow:
    """Airflow with its four components, up."""
    began = time.monotonic()
    made = make_airflow(machine, *group)
    made.start()
    machine.say(f"Airflow is up after {time.monotonic() - began:.0f} s")
    return made


@pytest.fixture(scope="session")
def gunicorn(machine: Machine) -> Started:
    """A gunicorn master."""
    return start_gunicorn(machine)


@pytest.fixture(scope="session")
def celery(machine: Machine) -> Started:
    """A Celery main process."""
    return start_celery(machine)


@pytest.fixture(scope="session")
def tasks(airflow: Airflow) -> list[dict[str, Any]]:
    """What the tasks say that keep every worker busy."""
    began = time.monotonic()
    found = airflow.wait_busy()
    airflow.machine.say(f"every worker runs a task after {time.monotonic() - began:.0f} s")
    return found


@pytest.fixture(scope="session")
def ask(machine: Machine) -> Callable[..., Any]:
    """Run the installed airmem and return its JSON answer."""

    def run(*arguments: object, **user: int) -> Any:
        done = machine.run_airmem(*arguments, "--format", "json", **user)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def superuser(machine: Machine) -> None:
    """Skip where the harness is not root."""
    if not machine.is_root:
        pytest.skip("needs root, to read workers that are not dumpable and to stop another user's tree")
