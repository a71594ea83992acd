"""Which services run here: what `airmem ps` shows and what a TARGET is looked for among."""

from __future__ import annotations

from airmem.collect.processes import collect_processes, own_process_id
from airmem.collect.sockets import LiveListeners
from airmem.model.noun import noun
from airmem.services.detect import detect_roles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.collect.source import Source
    from airmem.model.gap import Gap
    from airmem.model.process import Process
    from airmem.model.service import ServiceRole


@noun
class Survey:
    """All processes that can be seen and the roles of those that a detector knows, both by pid.

    `own_pids` are airmem itself (first) and the processes that it descends from.
    """

    processes: dict[int, Process]
    roles: dict[int, ServiceRole]
    own_pids: tuple[int, ...]
    gaps: tuple[Gap, ...]

    def roots(self) -> list[Process]:
        """Return the processes with a role whose parent has none: where a tree of a service begins, by age."""
        tops = [self.processes[pid] for pid in self.roles if self.processes[pid].parent_pid not in self.roles]
        return sorted(tops, key=lambda process: (process.start_ticks, process.pid))


def survey_services(source: Source) -> Survey:
    """Look at every command line and name what is known. airmem itself has no role."""
    processes = collect_processes(source, with_arguments=True)
    listeners = LiveListeners(source)
    own_pids = _lineage(processes, own_process_id(source))
    others = [process for process in processes.values() if process.pid not in own_pids[:1]]
    return Survey(
        processes=processes,
        roles=detect_roles(others, listeners),
        own_pids=own_pids,
        gaps=tuple(listeners.gaps),
    )


def _lineage(processes: dict[int, Process], pid: int | None) -> tuple[int, ...]:
    lineage: list[int] = []
    while pid in processes and pid not in lineage:
        lineage.append(pid)
        pid = processes[pid].parent_pid
    return tuple(lineage)
