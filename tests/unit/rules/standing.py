"""Trees that stand still, made of nouns: what rules about hangs are tried on."""

from __future__ import annotations

from typing import Any

from airmem.analysis.waiting.answer import Waits
from airmem.analysis.waiting.graph import Graph
from airmem.analysis.waiting.scene import Scene
from airmem.model.process import Process
from airmem.model.service import ServiceRole
from airmem.model.snapshot import Host
from airmem.model.stack import Frame, ProcessStacks, ThreadStack
from airmem.model.task import ProcessLook, Task, TreeLook
from airmem.model.verdict import Wait
from airmem.model.waiting import HangProcess, HangSnapshot

TICKS = 100
BOOT_SECONDS = 1000.0


class Nothing:
    """Knows neither memory nor sources."""

    def read(self, *_: object) -> bytes:
        """Return nothing."""
        return b""

    def find(self, *_: object) -> tuple[int, ...]:
        """Return nothing."""
        return ()

    def text(self, *_: object) -> None:
        """Return nothing."""
        return


def role(component: str, name: str = "worker", activity: str = "") -> ServiceRole:
    """Return a role in Airflow."""
    return ServiceRole(service="airflow", component=component, role=name, start_method="fork", activity=activity)


def frame(function: str, file: str = "/srv/own.py") -> Frame:
    """Return a frame."""
    return Frame(function=function, file=file, line=1)


def process(pid: int, parent_pid: int, state: str, age_seconds: float) -> HangProcess:
    """Return a process."""
    plain = Process(
        pid=pid, parent_pid=parent_pid, start_ticks=int((BOOT_SECONDS - age_seconds) * TICKS), command="python",
        state=state, session_id=1, flags=0, thread_count=1, rss_pages=1, arguments=("python",),
    )  # fmt: skip
    return HangProcess(
        process=plain, living_pid=pid, depth="full", has_python=True, python_version="3.11", executable="/python", tracer_pid=0,
        caught_signals_mask=0, user_id=0, network_namespace="", pid_namespace="", namespace_pid=pid,
        mount_namespace="", descriptors={}, mappings=(), mounts=(), cgroup=None,
    )  # fmt: skip


def tree(*waits: Wait, parents: dict[int, int] | None = None, **more: Any) -> Waits:
    """Return the waits of processes, each with one thread.

    `parents` by pid; `frames` by pid, innermost first; `zombies`; `ages_seconds` by pid.
    """
    parents, frames, ages = parents or {}, more.get("frames", {}), more.get("ages_seconds", {})
    pids = [*dict.fromkeys([*(one.pid for one in waits), *more.get("zombies", ())])]
    processes = {
        pid: process(pid, parents.get(pid, 0), "Z" if pid in more.get("zombies", ()) else "S", ages.get(pid, 10.0))
        for pid in pids
    }
    looks = tuple(_look(at, waits, processes) for at in (0.0, 1.0))
    stacks = {
        one.pid: (
            ProcessStacks(
                pid=one.pid, at_seconds=1.0, took_seconds=0.0, paused_seconds=0.0, has_locals=False,
                threads=(
                    ThreadStack(
                        tid=one.tid, ident=one.tid, name="MainThread", is_active=False, owns_gil=False,
                        frames=tuple(frames.get(one.pid, (frame("main"),))),
                    ),
                ),
            ),
        )
        for one in waits
    }  # fmt: skip
    snapshot = HangSnapshot(
        root_pids=tuple(pids[:1]), host=Host(boot_id="", hostname="", kernel="", pid_namespace="", container_id=""),
        machine="x86_64", ticks_per_second_count=TICKS, taken_at_seconds=0.0, window_seconds=1.0, realtime_seconds=0.0,
        monotonic_seconds=0.0, boot_seconds=BOOT_SECONDS, processes=processes, looks=looks, stacks=stacks, sockets={},
        holders={}, outsiders={}, file_locks=(), gaps=(),
    )  # fmt: skip
    scene = Scene(snapshot, Nothing(), Nothing())
    graph = Graph({(one.pid, one.tid): one for one in waits})
    threads = {key: scene.threads[key] for key in graph.waits}
    doomed = frozenset(key for key, one in graph.waits.items() if one.nobody or key in graph.stuck)
    return Waits(scene=scene, threads=threads, waits=graph.waits, doomed=doomed, chains=graph.chains())


def wait(pid: int, category: str, *needs: Any, since_seconds: float = 5.0, **more: Any) -> Wait:
    """Return why the main thread of a process stands."""
    more.setdefault("evidence", {})
    return Wait(pid=pid, tid=pid, category=category, needs=needs, since_seconds=since_seconds, **more)


def _look(at_seconds: float, waits: tuple[Wait, ...], processes: dict[int, HangProcess]) -> TreeLook:
    return TreeLook(
        at_seconds=at_seconds,
        has_stacks_before=False,
        processes={
            one.pid: ProcessLook(
                pid=one.pid, start_ticks=processes[one.pid].process.start_ticks, parent_pid=1, state="S",
                tasks=(
                    Task(
                        tid=one.tid, command="python", state="S", system_call=None, wait_channel="",
                        idle_seconds=one.since_seconds, user_ticks=0, system_ticks=0, voluntary_switch_count=0,
                        involuntary_switch_count=0, start_ticks=0,
                    ),
                ),
            )
            for one in waits
        },
    )  # fmt: skip
