"""One verdict for each thread: the tests in order, from what the kernel says to what the source says."""

from __future__ import annotations

import math

from airmem.analysis.waiting.caller import caller_evidence
from airmem.analysis.waiting.files import is_file_lock, judge_file_lock, mount_evidence
from airmem.analysis.waiting.loops import is_epoll, judge_blocked, judge_epoll
from airmem.analysis.waiting.places import find_place
from airmem.analysis.waiting.processor import judge_busy, judge_gil_holder, judge_gil_wait, judge_moving
from airmem.analysis.waiting.semaphores import is_shared_futex, judge_semaphore
from airmem.analysis.waiting.threads import judge_thread_wait
from airmem.analysis.waiting.timeouts import MINUTE_SECONDS, SHORT_SECONDS, sleep_left, timeout_of
from airmem.analysis.waiting.transfers import judge_sqlite, judge_transfer
from airmem.analysis.waiting.waits import wait_of
from airmem.model.noun import replace
from airmem.model.verdict import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.model.verdict import Evidence, Target

NETWORK_FILES = ("request_wait_answer", "fuse_", "nfs", "rpc_", "cifs", "smb2_", "ceph_", "afs_", "p9_client")
"""Kernel functions that wait for a file server (wchan)."""

MEMORY_STALLS = ("mem_cgroup_oom", "mem_cgroup_handle", "mem_cgroup_out")
"""Where the kernel holds up a process for its control group's memory (mm/memcontrol.c)."""

SLEEPS = frozenset({"nanosleep", "clock_nanosleep"})
SIGNAL_WAITS = frozenset({"pause", "rt_sigsuspend", "rt_sigtimedwait"})
CHILD_WAITS = frozenset({"wait4", "waitid"})
P_PID, P_PIDFD = 1, 3
FORKS = frozenset({"clone", "vfork", "clone3", "fork"})


def judge_thread(scene: Scene, thread: Thread) -> Wait:
    """Return why a thread stands, or that it runs."""
    wait = _judge_state(scene, thread) or _judge_movement(scene, thread)
    if wait is None:
        wait = judge_blocked(scene, thread, _as_healthy(_judge_call(scene, thread)))
    evidence = {**caller_evidence(scene, thread), **wait.evidence}
    return replace(wait, evidence=evidence, since_seconds=thread.since_seconds)


def _as_healthy(wait: Wait) -> Wait:
    """Turn a wait by design, or one that ends within a minute, into idle; a dead holder spoils any design.

    A driver that polls its database ten times a second while a statement runs waits for the statement.
    """
    timeout = wait.evidence.get("timeout_s")
    is_short = isinstance(timeout, int | float) and timeout < SHORT_SECONDS
    is_query = wait.category == "db_wait" and bool(wait.evidence.get("statement"))
    if wait.nobody or is_query or wait.category in ("idle", "sleep") or not (wait.place or is_short):
        return wait
    mechanism = wait.place or f"{wait.category} with a timeout of {timeout:g} s"
    return replace(wait, category="idle", evidence={**wait.evidence, "mechanism": mechanism}, is_timed=is_short)


def _judge_state(scene: Scene, thread: Thread) -> Wait | None:  # noqa: PLR0911  # one line for each state
    """Return what the kernel alone decides: traced, stopped, frozen, file server, memory, uninterruptible."""
    task, process = thread.task, thread.process
    if task.state in "ZX":
        return wait_of(thread, "exited", {"reason": "it called pthread_exit, and other threads of its process run on"})
    if task.state == "t":
        return wait_of(thread, "traced", {"tracer": process.tracer_pid or None})
    if task.state == "T":
        return wait_of(thread, "stopped", {"tracer": process.tracer_pid} if process.tracer_pid else {})
    if process.cgroup is not None and process.cgroup.is_frozen:
        return wait_of(thread, "frozen", {"cgroup": process.cgroup.freezer_path})
    if _stays_in(thread, NETWORK_FILES):
        return wait_of(thread, "fs_hang", {**mount_evidence(scene, thread), "reason": task.wait_channel})
    if _stays_in(thread, MEMORY_STALLS):
        path = process.cgroup.memory_path if process.cgroup else None
        return wait_of(thread, "memory_stall", {"cgroup": path, "reason": task.wait_channel})
    if all(one.state == "D" for one in thread.tasks) and _is_unmoved(thread):
        if process.cgroup is not None and process.cgroup.is_oom_stalled:
            return wait_of(thread, "memory_stall", {"cgroup": process.cgroup.memory_path, "reason": task.wait_channel})
        reason = "vfork" if thread.call_name in FORKS else task.wait_channel or thread.call_name
        return wait_of(thread, "dstate", {"state": "D", "reason": reason})
    return None


def _judge_movement(scene: Scene, thread: Thread) -> Wait | None:
    """Return the verdict on a thread that uses the CPU, moves, or is kept from moving by the GIL."""
    busy = judge_busy(scene, thread)
    if busy is not None:
        return busy
    if not thread.is_still or thread.switches_per_second:
        waits = judge_sqlite(scene, thread)
        if waits is not None:
            return waits
    return judge_moving(scene, thread) or judge_gil_holder(scene, thread) or judge_gil_wait(scene, thread)


def _judge_call(scene: Scene, thread: Thread) -> Wait:  # noqa: PLR0911  # one line for each call
    """Return the verdict on a thread that stays in one system call."""
    name = thread.call_name
    if thread.call is None:
        return wait_of(
            thread, "unreadable", {"state": thread.task.state, "reason": thread.task.wait_channel}, is_sure=False
        )
    if name in SLEEPS or _is_select_sleep(thread):
        return judge_sqlite(scene, thread) or _sleep(scene, thread)
    if name in SIGNAL_WAITS:
        return _idle(thread, {}, "it waits for a signal")
    if name in CHILD_WAITS:
        return _child(scene, thread)
    if is_file_lock(thread):
        return judge_file_lock(scene, thread)
    if is_epoll(thread):
        return judge_epoll(scene, thread)
    if name == "futex":
        return _futex(scene, thread)
    return judge_transfer(scene, thread) or _unnamed(scene, thread)


def _futex(scene: Scene, thread: Thread) -> Wait:
    timeout = timeout_of(scene, thread)
    is_forever = timeout is None or timeout == math.inf
    wait = judge_semaphore(scene, thread) if is_shared_futex(thread) else _private_futex(scene, thread)
    evidence = wait.evidence if is_forever else {**wait.evidence, "timeout_s": round(timeout or 0.0, 3)}
    nobody = wait.nobody and is_forever
    return replace(wait, evidence=evidence, nobody=nobody)


def _private_futex(scene: Scene, thread: Thread) -> Wait:
    if thread.frames:
        return judge_thread_wait(scene, thread)
    return wait_of(thread, "unknown", {"reason": "a lock or a condition of this process"}, is_sure=False)


def _is_select_sleep(thread: Thread) -> bool:
    """Whether select(2) is used as a sleep: no descriptors, only a timeout (time.sleep up to Python 3.10)."""
    words = thread.arguments
    return thread.call_name in ("select", "pselect6") and not any(words[1:4]) and bool(words[4])


def _sleep(scene: Scene, thread: Thread) -> Wait:
    left = sleep_left(scene, thread)
    if left is None:
        return _idle(thread, {"seconds": None}, "it sleeps; it had gone on when airmem asked for how long")
    if left <= MINUTE_SECONDS:
        return _idle(thread, {"seconds": round(left, 1)}, "it sleeps between two rounds")
    return wait_of(thread, "sleep", {"seconds": round(left)})


def _child(scene: Scene, thread: Thread) -> Wait:
    """waitpid and waitid: one child, or any of them."""
    words = thread.arguments
    asked = words[1] if thread.call_name == "waitid" and words[0] == P_PID else 0
    if thread.call_name == "wait4" and 0 < words[0] < 1 << 31:
        asked = words[0]
    children = [
        pid
        for pid, process in scene.snapshot.processes.items()
        if process.process.parent_pid == thread.pid and pid in scene.by_process
    ]
    named = [asked] if asked else children
    evidence: Evidence = {"child": named[0] if len(named) == 1 else named or None}
    needs: tuple[Target, ...] = tuple((one, None) for one in named)
    place = find_place(thread.frames)
    return wait_of(thread, "child_wait", evidence, needs=needs, needs_all=bool(asked), place=place)


def _unnamed(scene: Scene, thread: Thread) -> Wait:
    """Return the verdict on system calls that say little by themselves."""
    place = find_place(thread.frames)
    timeout = timeout_of(scene, thread)
    evidence: Evidence = {"reason": thread.call_name or thread.task.wait_channel}
    if timeout is not None and timeout != math.inf:
        evidence["timeout_s"] = round(timeout, 3)
        return _idle(thread, evidence, f"{thread.call_name} with a timeout")
    if place:
        return _idle(thread, evidence, place)
    if thread.call_name == "restart_syscall":
        return _idle(thread, evidence, "a sleep or a wait with a timeout that a signal interrupted")
    if thread.task.state == "R":
        return wait_of(thread, "running", {})
    return wait_of(thread, "unknown", evidence, is_sure=False)


def _stays_in(thread: Thread, names: tuple[str, ...]) -> bool:
    """Whether each look saw the thread in such a function of the kernel, in the same system call."""
    found = all(any(name in task.wait_channel for name in names) for task in thread.tasks)
    return found and _is_unmoved(thread)


def _is_unmoved(thread: Thread) -> bool:
    counts = {one.voluntary_switch_count for one in thread.tasks}
    return len(counts) == 1


def _idle(thread: Thread, evidence: Evidence, mechanism: str) -> Wait:
    return wait_of(thread, "idle", {**evidence, "mechanism": mechanism}, place=mechanism)
