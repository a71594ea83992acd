"""A real Airflow: database, four components, DAGs; what of it is where the harness knows by itself."""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.machine import Machine, answers, free_ports, wait_for
from tests.e2e.postgres import start_postgres
from tests.e2e.started import Started, descendants, identity
from tests.live.tree import is_gone

WORKERS = 8
TASKS = 8
"""As in dags/e2e_dags.py: one for each worker."""

SECONDS_TO_START = 180
SECONDS_TO_WORK = 180


@dataclass
class Airflow:
    """The components by name, the ports of their servers, and what the tasks and the parser say of themselves."""

    machine: Machine
    ports: dict[str, int]
    group: Path | None
    why_no_group: str
    components: dict[str, Started] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> Path:
        """The folder in which tasks and parser write."""
        return self.machine.run / "notes"

    def start(self) -> None:
        """Bring everything up; returns when the servers answer."""
        self.variables = self._settings(start_postgres(self.machine))
        began = time.monotonic()
        self.machine.command("airflow", "db", "migrate", more=self.variables)
        self.machine.say(f"airflow db migrate took {time.monotonic() - began:.0f} s")
        for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
            group = self.group if name == "scheduler" else None
            self.components[name] = self.machine.ledger.start(
                name,
                [str(self.machine.services / "airflow"), name],
                variables={**self.machine.variables, **self.variables},
                folder=self.machine.run / "home",
                become=identity(self.machine.uid, self.machine.gid, group),
            )
        everything = [*self.components.values()]
        for name, path in (("api", "/api/v2/version"), ("health", "/health")):
            url = f"http://127.0.0.1:{self.ports[name]}{path}"
            wait_for(url, lambda url=url: answers(url), SECONDS_TO_START, everything)
        wait_for("the triggerer's children", lambda: len(self.tree("triggerer")) >= 3, SECONDS_TO_START, everything)
        self.machine.say(", ".join(f"{name} {one.pid}" for name, one in self.components.items()))

    def _settings(self, database: str) -> dict[str, str]:
        """Return the configuration, as variables."""
        ports = self.ports
        settings = {
            "core.executor": "LocalExecutor",
            "core.parallelism": WORKERS,
            "core.load_examples": False,
            "core.dags_folder": self.machine.run / "dags",
            "core.dags_are_paused_at_creation": False,
            "core.simple_auth_manager_all_admins": True,
            "core.fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "core.execution_api_server_url": f"http://127.0.0.1:{ports['api']}/execution/",
            "database.sql_alchemy_conn": f"postgresql+psycopg2://{database}",
            "database.sql_alchemy_conn_async": f"postgresql+asyncpg://{database}",
            "api.host": "127.0.0.1",
            "api.port": ports["api"],
            "api.workers": 1,
            "api.base_url": f"http://127.0.0.1:{ports['api']}",
            "api.secret_key": secrets.token_hex(24),
            "api_auth.jwt_secret": secrets.token_hex(24),
            "scheduler.enable_health_check": True,
            "scheduler.scheduler_health_check_server_host": "127.0.0.1",
            "scheduler.scheduler_health_check_server_port": ports["health"],
            "logging.worker_log_server_port": ports["logs"],
            "logging.trigger_log_server_port": ports["trigger-logs"],
            "logging.base_log_folder": self.machine.run / "home" / "logs",
            "dag_processor.refresh_interval": 10,
            "dag_processor.min_file_process_interval": 4,
            "usage_data_collection.enabled": False,
        }
        named = {f"AIRFLOW__{key.replace('.', '__').upper()}": str(value) for key, value in settings.items()}
        return {"AIRFLOW_HOME": str(self.machine.run / "home"), "E2E_COLLECT": "1", **named}

    def tree(self, name: str) -> dict[int, Any]:
        """Return a component's process and its descendants by pid."""
        return descendants(self.components[name].pid)

    def wait_busy(self) -> list[dict[str, Any]]:
        """Wait until every worker runs a task, and return what the tasks say: pid, parent_pid, instance_id."""
        names = [f"task-{number}" for number in range(TASKS)]

        def notes() -> list[dict[str, Any]]:
            found = [one for one in map(self.note, names) if one]
            return found if len(found) == TASKS else []

        return wait_for("a task in every worker", notes, SECONDS_TO_WORK, [*self.components.values()])

    def let_go(self) -> None:
        """Let the tasks end."""
        (self.notes / "let-go").touch()

    def hold_parser(self) -> dict[str, Any]:
        """Wait until the DAG processor parses the slow file, which it does until let_parser_go."""
        (self.notes / "hold-parser").touch()

        def parser() -> dict[str, Any] | None:
            found = self.note("parser")
            return found if found and not is_gone(found["pid"]) else None

        return wait_for("a parser", parser, 90, [*self.components.values()])

    def let_parser_go(self) -> None:
        """Let the slow file be parsed."""
        for name in ("hold-parser", "parser.json"):
            (self.notes / name).unlink(missing_ok=True)

    def note(self, name: str) -> dict[str, Any] | None:
        """Return what somebody wrote down."""
        with suppress(FileNotFoundError):
            return dict(json.loads((self.notes / f"{name}.json").read_text()))
        return None


def make_airflow(machine: Machine, group: Path | None, why_no_group: str) -> Airflow:
    """Return an Airflow with ports of its own, not started."""
    names = ("api", "health", "logs", "trigger-logs")
    return Airflow(machine, dict(zip(names, free_ports(len(names)), strict=True)), group, why_no_group)


def find_listener(port: int, pids: Any) -> list[int]:
    """Return which of the processes hold the socket that listens on a port."""
    inodes = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(path).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{words[9]}]")
    return [pid for pid in pids if inodes & set(_links(pid))]


def _links(pid: int) -> list[str]:
    found = []
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found
