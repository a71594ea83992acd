"""The whole of it: a snapshot in, a verdict for each thread and the ends of all chains out."""

from __future__ import annotations

from dataclasses import dataclass

from airmem.analysis.waiting.graph import Graph
from airmem.analysis.waiting.judge import judge_thread
from airmem.analysis.waiting.processor import is_busy
from airmem.analysis.waiting.scene import Scene, Thread
from airmem.analysis.waiting.timeouts import read_timeouts
from airmem.model.noun import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.target import Memory, Sources
    from airmem.model.verdict import Chain, Wait, Waiter
    from airmem.model.waiting import HangSnapshot

ANSWERED_BY_OTHERS = frozenset({"queue_wait", "cond_wait", "event_wait", "future_wait"})
"""Waits that any other thread of the process may end."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Waits:
    """The threads that are told of, why each stands, those that can never go on, and what they all wait for."""

    scene: Scene
    threads: dict[Waiter, Thread]
    waits: dict[Waiter, Wait]
    doomed: frozenset[Waiter]
    chains: list[Chain]


def attribute_waits(snapshot: HangSnapshot, memory: Memory, sources: Sources) -> Waits:
    """Return why every thread of a tree stands, and who waits for whom."""
    scene = Scene(snapshot, memory, sources)
    threads = {key: one for key, one in scene.threads.items() if _is_told_of(scene, one)}
    read_timeouts(scene, threads.values())
    waits = {key: judge_thread(scene, one) for key, one in threads.items()}
    graph = Graph({key: _without_outsiders(wait, waits) for key, wait in waits.items()})
    found = {key: _with_nobody(graph, threads, key, wait) for key, wait in graph.waits.items()}
    return Waits(
        scene=scene, threads=threads, waits=found, doomed=frozenset(_doomed(graph, found)), chains=graph.chains()
    )


def _is_told_of(scene: Scene, thread: Thread) -> bool:
    """Whether a thread is shown: those with Python frames, else the first; others only if they compute or hang."""
    has_stacks = bool(scene.python_threads(thread.pid))
    if thread.stack is not None or (not has_stacks and _stands_for_all(thread)):
        return True
    return has_stacks and (is_busy(thread) or all(task.state == "D" for task in thread.tasks))


def _stands_for_all(thread: Thread) -> bool:
    """Whether a thread of a process without Python stacks is told of: the first, unless it has ended (pthread_exit)."""
    return thread.is_main or thread.process.process.has_lost_first or thread.process.has_python


def _without_outsiders(wait: Wait, waits: dict[Waiter, Wait]) -> Wait:
    """Leave out threads that are not told of; processes outside the tree stay, as something that may go on."""
    needs = tuple((pid, tid) for pid, tid in wait.needs if tid is None or (pid, tid) in waits)
    return wait if len(needs) == len(wait.needs) else replace(wait, needs=needs)


def _with_nobody(graph: Graph, threads: dict[Waiter, Thread], key: Waiter, wait: Wait) -> Wait:
    """Mark a wait that only other threads of the process could end, when each of them waits for this one."""
    if wait.category not in ANSWERED_BY_OTHERS or wait.evidence.get("nobody_left"):
        return wait
    others = [one for one in threads if one[0] == key[0] and one != key and not graph.waits[one].place]
    if not others or not all(_reaches(graph, one, key) for one in others):
        return wait
    return replace(wait, evidence={**wait.evidence, "nobody_left": True}, nobody=True)


def _reaches(graph: Graph, start: Waiter, end: Waiter) -> bool:
    seen, todo = {start}, [start]
    for one in todo:
        for target in graph.targets(one) if graph.waits[one].category not in ("idle", "running") else ():
            if target == end:
                return True
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return False


def _doomed(graph: Graph, waits: dict[Waiter, Wait]) -> set[Waiter]:
    """Return the threads that nothing can wake: knots, dead holders, and all that needs one of these."""
    doomed = {key for key, wait in waits.items() if key in graph.stuck or (wait.nobody and wait.category in FINAL)}
    changed = True
    while changed:
        changed = False
        for key, wait in waits.items():
            if key in doomed or not wait.needs or wait.is_timed or wait.category in ("idle", "running"):
                continue
            if wait.evidence.get("timeout_s") is not None:
                continue
            targets = graph.targets(key)
            dead = [one in doomed for one in targets]
            if dead and (any(dead) if wait.needs_all else all(dead) and len(targets) >= len(wait.needs)):
                doomed.add(key)
                changed = True
    return doomed


FINAL = frozenset(
    {"self_deadlock", "fork_lock", "mp_lock_orphaned", "lock_wait", "pipe_read", "queue_wait", "cond_wait",
     "asyncio_starved", "pool_exhausted", "future_wait"}
)  # fmt: skip
"""Waits that end never when nobody is left; an event may still be set by a signal handler."""
