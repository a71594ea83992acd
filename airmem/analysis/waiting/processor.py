"""Threads that use the CPU or beg for the interpreter's lock: busy, turning in a circle, or starved."""

from __future__ import annotations

from airmem.analysis.waiting.scene import MOVING_SWITCHES_PER_SECOND
from airmem.model.verdict import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.model.verdict import Evidence, Target

BUSY_RATIO = 0.3
"""CPU time over the window from which on a thread computes; below, it works now and then (utime has 10 ms ticks)."""

SPINNING_RATIO = 0.7
"""A thread that turns in a circle uses all the CPU it gets; one that also sleeps is at work."""

ACTIVE_RATIO = 0.01
ACTIVE_SWITCHES_PER_SECOND = 3
GIL_WAIT_SECONDS = 0.2
"""Whoever wants the GIL asks for it every 5 ms (sys.getswitchinterval); nobody waits longer for one answer."""


def judge_busy(scene: Scene, thread: Thread) -> Wait | None:
    """Return the verdict on a thread that uses much CPU time, None if this one does not.

    A different function at every look is work. The same function always is a circle: in Python if the line changes or
    calls nothing, else in C code below that line.
    """
    if not is_busy(thread):
        return None
    stacks = [one for one in thread.stacks if one.frames]
    evidence: Evidence = {"cpu_ratio": round(thread.cpu_ratio, 2)}
    if len(stacks) < 2:
        return _wait(thread, "running" if thread.frames else "cpu_native", evidence)
    tops = [one.frames[0] for one in stacks]
    functions = {(one.file, one.function) for one in tops}
    evidence["looks_count"] = len(stacks)
    if len(functions) > 1 or (
        thread.cpu_ratio < SPINNING_RATIO and thread.switches_per_second > ACTIVE_SWITCHES_PER_SECOND
    ):
        return _wait(thread, "running", evidence)
    lines = {one.line for one in tops}
    if len(lines) == 1 and scene.syntax(thread.pid, tops[0]).calls(tops[0].line):
        owned = sum(one.owns_gil for one in stacks)
        return _wait(thread, "cpu_native_gil" if 2 * owned > len(stacks) else "cpu_native", evidence)
    return _wait(thread, "cpu_python", evidence)


def is_busy(thread: Thread) -> bool:
    """Whether a thread computes: it used much of a CPU, or was ready to at every look and only got too little."""
    if thread.cpu_ratio > BUSY_RATIO:
        return True
    return thread.cpu_ratio > 0 and len(thread.tasks) > 1 and all(task.state == "R" for task in thread.tasks)


def judge_moving(scene: Scene, thread: Thread) -> Wait | None:
    """Return the verdict on a thread that was elsewhere at every look, None for one that stands still."""
    if thread.is_still and thread.switches_per_second <= MOVING_SWITCHES_PER_SECOND:
        return None
    starved = judge_gil_wait(scene, thread)
    if starved is not None:
        return starved
    is_active = thread.cpu_ratio > ACTIVE_RATIO or thread.switches_per_second > ACTIVE_SWITCHES_PER_SECOND
    is_running = any(task.state == "R" or (task.system_call and task.system_call.is_running) for task in thread.tasks)
    evidence: Evidence = {"mechanism": "it does one thing after another, mostly asleep"}
    return _wait(thread, "running", {}) if is_active or is_running else _wait(thread, "idle", evidence, is_timed=True)


def judge_gil_wait(scene: Scene, thread: Thread) -> Wait | None:
    """Return the verdict on a thread that asks for the GIL again and again while another keeps it."""
    owner = gil_owner(scene, thread)
    if owner is None or owner is thread or not _begs(thread) or not _keeps_gil(scene, owner):
        return None
    needs: tuple[Target, ...] = ((owner.pid, owner.tid),)
    evidence: Evidence = {"holder": owner.label}
    return Wait(pid=thread.pid, tid=thread.tid, category="gil_wait", evidence=evidence, needs=needs)


def judge_gil_holder(scene: Scene, thread: Thread) -> Wait | None:
    """Return the verdict on a thread that sleeps in the kernel with the GIL in its hands while others want it."""
    if not thread.owns_gil or not thread.is_still or thread.call_name in ("", "futex"):
        return None
    others = [one for one in scene.python_threads(thread.pid) if one is not thread]
    if not any(_begs(one) for one in others):
        return None
    return _wait(thread, "gil_held_blocked", {"system_call": thread.call_name})


def gil_owner(scene: Scene, thread: Thread) -> Thread | None:
    """Return the thread of the same process that holds the GIL, None if none did at the look."""
    return next((one for one in scene.python_threads(thread.pid) if one.owns_gil), None)


def _begs(thread: Thread) -> bool:
    """Whether a thread asks for the GIL again and again: short waits on a futex, a few hundred each second."""
    calls = [task.system_call for task in thread.tasks]
    is_short = any(one is not None and one.name == "futex" and one.arguments[3] for one in calls)
    return is_short and thread.switches_per_second > MOVING_SWITCHES_PER_SECOND


def _keeps_gil(scene: Scene, owner: Thread) -> bool:
    """Whether the owner does not give the GIL back: it sleeps with it, or computes in C code with it."""
    if owner.is_still and owner.call_name not in ("", "futex"):
        return True
    busy = judge_busy(scene, owner)
    return busy is not None and busy.category == "cpu_native_gil"


def _wait(thread: Thread, category: str, evidence: Evidence, *, is_timed: bool = False) -> Wait:
    return Wait(pid=thread.pid, tid=thread.tid, category=category, evidence=evidence, is_timed=is_timed)
