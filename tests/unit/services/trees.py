"""Trees for detectors: captured ones, and written ones in the kernel's terms."""

from __future__ import annotations

from pathlib import Path

from airmem.collect.processes import collect_processes
from airmem.collect.sockets import LiveListeners
from airmem.kernel.reader import KernelReader
from airmem.model.process import FORKED_WITHOUT_EXEC, Process
from airmem.model.service import ServiceRole
from airmem.services.detect import detect_roles

CAPTURES = Path(__file__).parents[2] / "captures"
PYTHON = "/usr/bin/python3"
AIRFLOW = "/usr/bin/airflow"
UUID = "01a1f93a-76ca-7a30-b2fe-6c430ca425ab"


def captured_roles(name: str) -> dict[int, ServiceRole]:
    """Return the roles in a captured tree, by pid."""
    reader = KernelReader(str(CAPTURES / name))
    processes = collect_processes(reader, with_arguments=True)
    return detect_roles(list(processes.values()), LiveListeners(reader))


def process(pid: int, parent_pid: int, *arguments: str, forked: bool = False, state: str = "S") -> Process:
    """Return a process with a command line, forked without exec or executed."""
    return Process(
        pid=pid,
        parent_pid=parent_pid,
        start_ticks=pid,
        command="python",
        state=state,
        session_id=1,
        flags=FORKED_WITHOUT_EXEC if forked else 0,
        thread_count=1,
        rss_pages=1,
        arguments=arguments,
    )


def fork(pid: int, parent_pid: int, *arguments: str) -> Process:
    """Return a process that was forked and has not called exec."""
    return process(pid, parent_pid, *arguments, forked=True)


def places(*processes: Process, ports: dict[int, tuple[int, ...] | None] | None = None) -> dict[int, tuple[str, str]]:
    """Return component and role by pid; `ports` tells who listens where (others nowhere)."""
    roles = detect_roles(processes, Ports(ports or {}))
    return {pid: (role.component, role.role) for pid, role in roles.items()}


class Ports:
    """Listeners from a table, and who was asked about."""

    def __init__(self, by_pid: dict[int, tuple[int, ...] | None]) -> None:
        self.by_pid = by_pid
        self.asked: list[int] = []

    def ports(self, process: Process) -> tuple[int, ...] | None:
        """Return the ports of a process."""
        self.asked.append(process.pid)
        return self.by_pid.get(process.pid, ())
