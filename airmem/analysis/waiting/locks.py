"""Locks between the threads of one process: which lock it is in the source, who holds it, and what that means."""

from __future__ import annotations

from airmem.analysis.waiting.lock_holders import (
    Holding,
    find_by_source,
    find_holder,
    find_own_call,
    find_own_frame,
    find_releaser,
    held_texts,
    is_in_own_block,
    may_hold_of_several,
    wanted_locks,
)
from airmem.analysis.waiting.scene import is_library
from airmem.analysis.waiting.waits import wait_of
from airmem.cpython.lock_objects import find_lock, is_same_lock
from airmem.model.verdict import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.lock_holders import Taken
    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.cpython.lock_objects import LockObject
    from airmem.model.stack import Frame
    from airmem.model.verdict import Evidence


def judge_lock(scene: Scene, thread: Thread) -> Wait:
    """Return the verdict on a thread that waits for a thread lock without end."""
    others = [one for one in scene.python_threads(thread.pid) if one is not thread]
    candidates = wanted_locks(scene, thread)
    for one in candidates:
        frame = find_own_frame(scene, thread, one, True)
        if frame is not None:
            return _own_or_handed_over(scene, thread, others, one, frame)
    lock = find_lock(scene.objects(thread.pid), thread.arguments[0])
    taken, holding = _choose(scene, thread, others, candidates, lock)
    evidence: Evidence = {"lock": taken.text if taken else None}
    if holding is not None:
        return _held_by(scene, thread, evidence, holding)
    found = _own_unsure(scene, thread, others, taken, lock) or _inherited(scene, thread, taken, lock)
    if found is not None:
        return found
    if taken and [one.text for one in candidates].count(taken.text) > 1:  # L.acquire(); L.acquire()
        return _self_deadlock(thread, evidence, thread.frames[taken.position], is_sure=False)
    return _without_holder(scene, thread, others, taken, lock)


def _without_holder(
    scene: Scene, thread: Thread, others: list[Thread], taken: Taken | None, lock: LockObject | None
) -> Wait:
    """Tell a lock of a dead thread, or one that another thread is to give back, from one of which nothing is known."""
    evidence: Evidence = {"lock": taken.text if taken else None}
    if lock is not None and lock.owner_ident:
        evidence["holder"] = "dead"
        return _wait(thread, "lock_wait", evidence, nobody=True)
    releaser = find_releaser(scene, others, taken) if taken else None
    if releaser is not None:
        return _handed_over(thread, evidence, releaser)
    evidence |= {"holder": None, "nobody_left": not others}
    return _wait(thread, "lock_wait", evidence, is_sure=False, nobody=not others)


def _choose(
    scene: Scene, thread: Thread, others: list[Thread], candidates: list[Taken], lock: LockObject | None
) -> tuple[Taken | None, Holding | None]:
    """Return which lock of `with X, Y:` a thread waits for, and its holder: the one that somebody is found to hold."""
    if len(candidates) <= 1:
        taken = candidates[0] if candidates else None
        return taken, find_holder(scene, thread, others, taken, lock)
    frame = thread.frames[candidates[0].position]
    named = [one for one in candidates if lock and frame.local_address(one.text) == lock.address]
    for one in named or candidates:
        by_source = find_by_source(scene, others, one)
        if by_source is not None:
            return one, by_source
    holding = find_holder(scene, thread, others, None, lock)
    asked = [holding.thread] if holding else others
    likely = [(one, other) for one in candidates for other in asked if may_hold_of_several(scene, other, one)]
    if holding is None and len(likely) == 1:
        how = "it takes several locks in the line that it is at"
        holding = Holding(thread=likely[0][1], frame=None, how=how, is_sure=False)
    return (named or [one for one, _ in likely] or candidates)[-1], holding


def _own_or_handed_over(scene: Scene, thread: Thread, others: list[Thread], taken: Taken, frame: Frame) -> Wait:
    """Tell a lock that the thread holds itself from one that it has taken for another thread to give back."""
    releaser = find_releaser(scene, others, taken)
    if releaser is not None:
        return _handed_over(thread, {"lock": taken.text}, releaser)
    return _self_deadlock(thread, {"lock": taken.text}, frame)


def _own_unsure(
    scene: Scene, thread: Thread, others: list[Thread], taken: Taken | None, lock: LockObject | None
) -> Wait | None:
    """Tell a lock that no other thread is found to hold and that this one holds by memory, or by what it called."""
    if taken is None:
        return None
    is_entering = taken.position == 0 and taken.is_with
    if lock is not None and not lock.is_recursive:
        outer = range(taken.position + 1, len(thread.frames))
        frame = next((thread.frames[at] for at in outer if held_texts(scene, thread, at)), None)
        if frame is not None and is_in_own_block(scene, thread, others, lock, int(is_entering)):
            return _self_deadlock(thread, {"lock": taken.text}, frame)
    frame = find_own_frame(scene, thread, taken, False) or find_own_call(scene, thread, taken)
    return _self_deadlock(thread, {"lock": taken.text}, frame, is_sure=False) if frame else None


def _held_by(scene: Scene, thread: Thread, evidence: Evidence, holding: Holding) -> Wait:
    evidence |= {"holder": holding.thread.label, "holder_frame": _holder_frame(scene, holding), "how": holding.how}
    return _wait(thread, "lock_wait", evidence, needs=((thread.pid, holding.thread.tid),), is_sure=holding.is_sure)


def _handed_over(thread: Thread, evidence: Evidence, releaser: Thread) -> Wait:
    evidence |= {"holder": releaser.label, "holder_frame": None, "how": "it is to give it back"}
    return _wait(thread, "lock_wait", evidence, needs=((thread.pid, releaser.tid),), is_sure=False)


def _holder_frame(scene: Scene, holding: Holding) -> str | None:
    """Return the function that holds a lock: the one that took it, else the innermost one in any `with` block."""
    if holding.frame is not None:
        return holding.frame.short_function
    for position, frame in enumerate(holding.thread.frames):
        if not is_library(frame) and held_texts(scene, holding.thread, position):
            return frame.short_function
    return next((one.short_function for one in holding.thread.frames if not is_library(one)), None)


def _self_deadlock(thread: Thread, evidence: Evidence, frame: Frame | None, is_sure: bool = True) -> Wait:
    names = [one.short_function for one in thread.frames]
    evidence |= {
        "holder": thread.label,
        "holder_frame": frame.short_function if frame else names[0],
        "depth": len(names),
        "gc": "__del__" in names,
    }
    return _wait(thread, "self_deadlock", evidence, is_sure=is_sure, nobody=True)


def _inherited(scene: Scene, thread: Thread, taken: Taken | None, lock: LockObject | None) -> Wait | None:
    """Tell a lock that was held when this process was forked, by a thread that only its parent has, or had then."""
    process = thread.process.process
    if not process.is_forked:
        return None
    parents = [one for one in scene.python_threads(process.parent_pid) if one.ident != thread.ident]
    by_owner = next((one for one in parents if lock is not None and lock.owner_ident == one.ident), None)
    by_source = find_by_source(scene, parents, taken) if taken else None
    evidence: Evidence = {"lock": taken.text if taken else None, "holder_in_parent": None, "nobody_left": True}
    holder = by_owner or (by_source.thread if by_source else None)
    own_idents = [one.ident for one in scene.python_threads(thread.pid)]
    is_foreign = lock is not None and lock.owner_ident not in (0, *own_idents)
    if holder is None and not is_foreign and not (len(own_idents) == 1 and _is_older(scene, thread, parents, lock)):
        return None
    if holder is not None:
        evidence["holder_in_parent"] = holder.label
        evidence["holder_frame"] = by_source.frame.short_function if by_source and by_source.frame else None
    return _wait(thread, "fork_lock", evidence, is_sure=holder is not None or is_foreign, nobody=True)


def _is_older(scene: Scene, thread: Thread, parents: list[Thread], lock: LockObject | None) -> bool:
    """Whether a lock is from before the fork: the parent has it at the same address, or has other threads."""
    parent = thread.process.process.parent_pid
    if lock is None or parent not in scene.by_process:
        return bool(parents)
    return is_same_lock(scene.objects(thread.pid), scene.objects(parent), lock.address)


def _wait(
    thread: Thread,
    category: str,
    evidence: Evidence,
    *,
    needs: tuple[tuple[int, int | None], ...] = (),
    is_sure: bool = True,
    nobody: bool = False,
) -> Wait:
    evidence.setdefault("depth", len(thread.frames))
    return wait_of(thread, category, evidence, needs=needs, is_sure=is_sure, nobody=nobody)
