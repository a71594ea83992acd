"""The titles that Airflow's processes give themselves (setproctitle), version 2.9 to 3.3."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from airmem.model.process import Process

Place: TypeAlias = "tuple[str, str, str]"
"""Component, role and activity."""

PREFIXES: tuple[tuple[str, str, str], ...] = (
    ("airflow scheduler -- DagFileProcessorManager", "scheduler", "manager"),
    ("airflow scheduler - DagFileProcessor ", "scheduler", "parser"),
    ("airflow executor -- LocalExecutor", "scheduler", "queue-manager"),
    ("airflow worker -- LocalExecutor", "scheduler", "worker"),
    ("airflow worker -- ", "task", "task"),
    ("airflow task supervisor: ", "task", "supervisor"),
    ("airflow task runner: ", "task", "task"),
    ("airflow supervisor: ", "task", "worker"),
    ("airflow serve-logs", "log-server", "log-server"),
    ("airflow api_server -- ", "api-server", "parent"),
    ("airflow api-server worker", "api-server", "worker"),
)
"""How a title begins, longer ones first; what follows tells the activity."""


def read_title(process: Process) -> Place | None:
    """Return what a title says: its component (`task` where only the parent knows), role and activity."""
    if len(process.arguments) != 1:
        return None
    title = process.arguments[0].removeprefix("[ready] ")
    if not title.startswith("airflow "):
        return None
    for prefix, component, role in PREFIXES:
        if title.startswith(prefix):
            return component, role, _activity(title[len(prefix) :], role)
    return None


def _activity(rest: str, role: str) -> str:
    """Return what a process says that it does now: after the team in brackets and the colon, for a worker."""
    if role in ("parent", "log-server"):
        return ""
    return (rest.partition(": ")[2] if ": " in rest else rest).strip()
