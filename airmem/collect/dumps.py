"""Python stacks of all processes of a tree: once for each, and again for those that used CPU."""

from __future__ import annotations

import os
from contextlib import suppress

from airmem.collect.attach import explain_attach, explain_failure
from airmem.collect.gaps import gap
from airmem.collect.hang_process import innermost_id
from airmem.collect.parallel import for_each
from airmem.errors import Malformed
from airmem.kernel.status import parse_status
from airmem.model.noun import replace
from airmem.model.stack import ProcessStacks
from airmem.probes.pyspy import DumpRequest, parse_dump
from airmem.probes.runner import ProgramMissing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from airmem.collect.hang_source import HangDump, HangReader, HangSource
    from airmem.collect.looking_plan import LookingPlan
    from airmem.kernel.source import Source
    from airmem.model.gap import Gap
    from airmem.model.stack import ThreadStack
    from airmem.model.task import TreeLook
    from airmem.model.waiting import HangProcess

BUSY_RATIO = 0.1
"""A process with a thread that used more of the window than this is looked at again: its stacks change."""

LEAST_EXTRA_DUMPS = 16
"""So many further looks are always affordable; beyond, at most one for each process of the tree in all."""

APART_SECONDS = 0.05
"""Between two looks at running stacks, so that they can change."""

LEAST_SECONDS = 0.1
"""Less time than this is not worth starting py-spy for."""


class Dumps:
    """Takes stacks; `stacks` by pid and `gaps` hold what came of it."""

    def __init__(
        self,
        source: HangSource,
        plan: LookingPlan,
        processes: dict[int, HangProcess],
        looks: list[TreeLook],
        ticks_per_second: int,
    ) -> None:
        self._source = source
        self._plan = plan
        self._processes = processes
        self._looks = looks
        self._ticks_per_second = ticks_per_second
        self._why: HangReader = source.layer("why")
        self._outer_tids: dict[int, dict[int, int]] = {}
        self.stacks: dict[int, tuple[ProcessStacks, ...]] = {}
        self.gaps: list[Gap] = []

    def take(self) -> None:
        """Look at every process that runs Python, then again at the busy ones."""
        asked = []
        for pid, one in self._processes.items():
            if one.process.is_zombie or one.process.is_kernel_thread:
                continue
            obstacle = explain_attach(self._why, one.living_pid)
            if obstacle is not None:
                self._miss(pid, *obstacle)
            elif one.has_python:
                asked.append(pid)
        try:
            self._in_parallel(asked, self._first)
            self._look_again()
        except ProgramMissing as problem:
            self.gaps.append(gap(None, "stacks", "no_pyspy", problem.cause))
        self.stacks = {pid: self.stacks[pid] for pid in self._processes if pid in self.stacks}
        self.gaps.sort(key=lambda one: one.pid or 0)

    def _first(self, pid: int) -> None:
        found, dump = self._dump(pid, "first", with_locals=True)
        if found is None and dump is not None and not dump.timed_out:
            # A process that waits for memory refuses what is paged out: its variables, and seldom its frames.
            found, dump = self._dump(pid, "again", with_locals=False)
        if found is not None:
            self.stacks[pid] = (found,)
        elif dump is None:
            self._miss(pid, "deadline", "there was no time left to read its stacks")
        else:
            self._miss(pid, *explain_failure(self._why, pid, dump.timed_out, dump.took_seconds))

    def _look_again(self) -> None:
        busy = [pid for pid in sorted(self.stacks) if self._is_busy(pid)]
        if not busy:
            return
        affordable = max(LEAST_EXTRA_DUMPS, len(self._processes)) // len(busy)
        for number in range(min(self._plan.extra_look_count, max(1, affordable))):
            self._source.wait_until(self._source.elapsed_seconds() + APART_SECONDS)
            name = f"extra {number}"
            self._in_parallel(busy, lambda pid, name=name: self._extra(pid, name))  # type: ignore[misc]

    def _extra(self, pid: int, name: str) -> None:
        found, _ = self._dump(pid, name, with_locals=False)
        if found is not None:
            self.stacks[pid] += (found,)

    def _is_busy(self, pid: int) -> bool:
        """Whether a thread used CPU in the window before py-spy came."""
        first, last = self._looks[0], self._looks[-1]
        if pid not in first.processes or pid not in last.processes:
            return False
        before = {task.tid: task.cpu_ticks for task in first.processes[pid].tasks}
        used = [task.cpu_ticks - before.get(task.tid, task.cpu_ticks) for task in last.processes[pid].tasks]
        seconds = max(used, default=0) / self._ticks_per_second
        return seconds > BUSY_RATIO * (last.at_seconds - first.at_seconds)

    def _dump(self, pid: int, name: str, with_locals: bool) -> tuple[ProcessStacks | None, HangDump | None]:
        """Return the stacks, if there are any, and what py-spy was asked, None where time was up."""
        left = self._plan.deadline_seconds - self._source.elapsed_seconds()
        if left < LEAST_SECONDS:
            return None, None
        request = DumpRequest(
            pid=self._processes[pid].living_pid,
            with_locals=with_locals,
            with_native=self._plan.with_native,
            is_blocking=self._plan.is_blocking,
            deadline_seconds=min(self._plan.pyspy_seconds, left),
        )
        dump = self._source.dump(f"{pid} {name}", request)
        if dump.raw is None:
            return None, dump
        try:
            threads = self._with_tids_from_here(pid, parse_dump(dump.raw))
        except Malformed:
            return None, dump
        found = ProcessStacks(
            pid=pid,
            at_seconds=dump.at_seconds,
            took_seconds=dump.took_seconds,
            paused_seconds=dump.paused_seconds,
            has_locals=with_locals,
            threads=threads,
        )
        return found, dump

    def _with_tids_from_here(self, pid: int, threads: tuple[ThreadStack, ...]) -> tuple[ThreadStack, ...]:
        """Return the threads with ids as airmem's pid namespace counts them.

        py-spy reads what gettid(2) gave the thread, which in a container is another number.
        """
        if self._processes[pid].namespace_pid == pid:
            return threads
        if pid not in self._outer_tids:
            self._outer_tids[pid] = _outer_tids(self._why, pid)
        known = self._outer_tids[pid]
        return tuple(replace(one, tid=None if one.tid is None else known.get(one.tid, one.tid)) for one in threads)

    def _miss(self, pid: int, reason: str, detail: str) -> None:
        self.gaps.append(gap(pid, "stacks", reason, detail))

    def _in_parallel(self, pids: list[int], look: Callable[[int], None]) -> None:
        """Look at processes, several at once: each py-spy is a program of its own. Errors: the first one's."""
        for_each(pids, look, self._plan.job_count or len(os.sched_getaffinity(0)))


def _outer_tids(reader: Source, pid: int) -> dict[int, int]:
    """Return the threads' ids as seen from here, by their ids in the process's own pid namespace."""
    found = {}
    with suppress(OSError), reader.process(pid) as files:
        for name in files.entries("task"):
            with suppress(OSError):
                inner = innermost_id(parse_status(files.read(f"task/{name}/status")))
                found[inner or int(name)] = int(name)
    return found
