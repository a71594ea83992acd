"""One look at all threads of a tree: what each does for the kernel right now."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from airmem.errors import Malformed
from airmem.kernel.task import Schedule, parse_schedule, parse_system_call, parse_task_stat
from airmem.model.task import ProcessLook, Task, TreeLook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from airmem.kernel.source import ProcessFiles, Source
    from airmem.model.task import SystemCall

NOTHING = Schedule(None, None, None)
NOT_TOLD = b"0"
"""What wchan reads as where the thread runs, and also where the kernel refuses to tell."""


@dataclass(frozen=True, slots=True)
class LookTime:
    """When a look was taken: on airmem's own clock, and on the scheduler's clock of each CPU that was asked."""

    at_seconds: float
    by_cpu: dict[int, float]

    def since(self, cpu: int, ran_at_seconds: float | None) -> float | None:
        """Return how long ago that was on this CPU; of one that was not asked by the middle one of the clocks."""
        if ran_at_seconds is None or not self.by_cpu:
            return None
        clocks = sorted(self.by_cpu.values())
        return max(0.0, self.by_cpu.get(cpu, clocks[len(clocks) // 2]) - ran_at_seconds)


def collect_look(
    reader: Source, pids: Iterable[int], machine: str, time: LookTime, has_stacks_before: bool
) -> TreeLook:
    """Return the threads of the processes; those that have ended are missing."""
    processes = {}
    for pid in pids:
        with suppress(OSError, Malformed):
            processes[pid] = _look_at(reader, pid, machine, time)
    return TreeLook(at_seconds=time.at_seconds, has_stacks_before=has_stacks_before, processes=processes)


def _look_at(reader: Source, pid: int, machine: str, time: LookTime) -> ProcessLook:
    """Return the threads of one process. Errors: OSError, Malformed when it has gone."""
    with reader.process(pid) as files:
        stat = parse_task_stat(files.read("stat"))
        tasks = []
        for name in sorted(files.entries("task"), key=int):
            with suppress(OSError, Malformed):  # the thread has ended
                tasks.append(_task(files, int(name), machine, time))
    return ProcessLook(
        pid=pid, start_ticks=stat.start_ticks, parent_pid=stat.parent_pid, state=stat.state, tasks=tuple(tasks)
    )


def _task(files: ProcessFiles, tid: int, machine: str, time: LookTime) -> Task:
    folder = f"task/{tid}/"
    stat = parse_task_stat(files.read(folder + "stat"))
    schedule = NOTHING
    with suppress(OSError):
        schedule = parse_schedule(files.read(folder + "sched"))
    wait_channel = b""
    with suppress(OSError):
        wait_channel = files.read(folder + "wchan").strip()
    return Task(
        tid=tid,
        command=stat.command,
        state=stat.state,
        system_call=_system_call(files, folder, machine),
        wait_channel="" if wait_channel == NOT_TOLD else wait_channel.decode(errors="replace"),
        idle_seconds=time.since(stat.cpu, schedule.ran_at_seconds),
        user_ticks=stat.user_ticks,
        system_ticks=stat.system_ticks,
        voluntary_switch_count=schedule.voluntary_switch_count,
        involuntary_switch_count=schedule.involuntary_switch_count,
        start_ticks=stat.start_ticks,
    )


def _system_call(files: ProcessFiles, folder: str, machine: str) -> SystemCall | None:
    try:
        return parse_system_call(files.read(folder + "syscall"), machine)
    except (OSError, Malformed):
        return None
