"""Locks between the threads of one process: which lock it is in the source, and who holds it.

Four ways to the holder, the surest first: the owner that an RLock names, a `with` block or an `acquire()` on somebody's
stack by its source, the bound method that a `with` block keeps in memory, and last a function that takes the lock for
its caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from airmem.analysis.waiting.scene import is_library
from airmem.analysis.waiting.waits import wait_of
from airmem.cpython.lock_objects import find_lock, find_with_holder
from airmem.model.verdict import Wait

if TYPE_CHECKING:
    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.cpython.lock_objects import LockObject
    from airmem.model.stack import Frame
    from airmem.model.verdict import Evidence

Identity: TypeAlias = "tuple[str | int, str]"
ENTERING = frozenset({"__enter__", "acquire", "__aenter__", "_acquire_restore", "_acquireLock"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A lock that a frame waits for: its text there, what identifies it, and how far out the frame is."""

    text: str
    identity: Identity
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Who holds a lock: the thread, the frame that took it where that is known, and how it was told."""

    thread: Thread
    frame: Frame | None
    how: str
    is_sure: bool


def wanted_lock(scene: Scene, thread: Thread) -> Taken | None:
    """Return the lock that a thread is taking, by the innermost frame outside threading.py that takes one."""
    for position, frame in enumerate(thread.frames[:6]):
        if frame.file.endswith("/threading.py"):
            continue
        text = scene.syntax(thread.pid, frame).wanted_lock(frame.line)
        if text is not None:
            return Taken(text=text, identity=identity_of(text, frame), position=position)
        if not (is_library(frame) and frame.short_function in ENTERING):
            return None
    return None


def identity_of(text: str, frame: Frame) -> Identity:
    """Return what tells a lock from another: the object that its first name is bound to, or the file, and the rest."""
    head, _, rest = text.partition(".")
    address = frame.local_address(head)
    return (address, rest) if address else (frame.file, text)


def judge_lock(scene: Scene, thread: Thread) -> Wait:
    """Return the verdict on a thread that waits for a thread lock without end."""
    taken = wanted_lock(scene, thread)
    evidence: Evidence = {"lock": taken.text if taken else None}
    own = _own_frame(scene, thread, taken) if taken else None
    lock: LockObject | None = None
    if own is None:
        lock = find_lock(scene.objects(thread.pid), thread.arguments[0])
    if taken and (own is not None or _is_taken_at_module_level(scene, thread, taken)):
        return _self_deadlock(thread, evidence, own)
    holding = find_holder(scene, thread, taken, lock)
    if holding is not None:
        evidence |= {"holder": holding.thread.label, "holder_frame": _holder_frame(scene, holding), "how": holding.how}
        return _wait(thread, "lock_wait", evidence, needs=((thread.pid, holding.thread.tid),), is_sure=holding.is_sure)
    inherited = _inherited(scene, thread, taken, lock)
    if inherited is not None:
        return inherited
    if lock is not None and lock.owner_ident:
        evidence["holder"] = "dead"
        return _wait(thread, "lock_wait", evidence, nobody=True)
    alone = len(scene.python_threads(thread.pid)) <= 1
    evidence |= {"holder": None, "nobody_left": alone}
    return _wait(thread, "lock_wait", evidence, is_sure=False, nobody=alone)


def find_holder(scene: Scene, thread: Thread, taken: Taken | None, lock: LockObject | None) -> Holding | None:
    """Return which other thread of the process holds a lock, None if none is found."""
    others = [one for one in scene.python_threads(thread.pid) if one is not thread]
    if lock is not None and lock.owner_ident:
        owner = next((one for one in others if one.ident == lock.owner_ident), None)
        return _held(scene, owner, taken, "the RLock names its owner", True) if owner else None
    by_source = _by_source(scene, others, taken) if taken else None
    if by_source is not None:
        return by_source
    if lock is not None:
        idents = {one.tid: one.ident for one in others}
        ident = find_with_holder(scene.objects(thread.pid), lock.address, idents)
        owner = next((one for one in others if ident and one.ident == ident), None)
        if owner is not None:
            return _held(scene, owner, taken, "its with block is on the interpreter's stack", True)
    return _by_acquirer(scene, thread, others, taken) if taken else None


def held_identities(scene: Scene, thread: Thread, position: int) -> set[Identity]:
    """Return the locks that one frame of a thread holds, as far as its source tells."""
    frame = thread.frames[position]
    inner = thread.frames[position - 1].short_function if position else ""
    is_entering = (position == 0 and thread.call_name == "futex") or inner in ENTERING
    locks = scene.syntax(thread.pid, frame).held_locks(frame.line, is_entering)
    return {identity_of(text, frame) for text in locks}


def _by_source(scene: Scene, others: list[Thread], taken: Taken) -> Holding | None:
    for other in others:
        for position, frame in enumerate(other.frames):
            if taken.identity in held_identities(scene, other, position):
                return Holding(thread=other, frame=frame, how="its source holds it there", is_sure=True)
    return None


def _by_acquirer(scene: Scene, thread: Thread, others: list[Thread], taken: Taken) -> Holding | None:
    """Look for a frame that called a function which takes this lock and returns with it."""
    taker = thread.frames[taken.position]
    names = scene.syntax(thread.pid, taker).acquirers(taken.text)
    if not names:
        return None
    for other in others:
        for frame in other.frames:
            if frame.file == taker.file and scene.syntax(other.pid, frame).has_called(frame.line, names):
                return Holding(thread=other, frame=frame, how="it called a function that takes it", is_sure=False)
    return None


def _held(scene: Scene, owner: Thread, taken: Taken | None, how: str, is_sure: bool) -> Holding:
    found = _by_source(scene, [owner], taken) if taken else None
    return Holding(thread=owner, frame=found.frame if found else None, how=how, is_sure=is_sure)


def _holder_frame(scene: Scene, holding: Holding) -> str | None:
    """Return the function that holds a lock: the one that took it, else the innermost one in any `with` block."""
    if holding.frame is not None:
        return holding.frame.short_function
    for position, frame in enumerate(holding.thread.frames):
        if not is_library(frame) and held_identities(scene, holding.thread, position):
            return frame.short_function
    return next((one.short_function for one in holding.thread.frames if not is_library(one)), None)


def _own_frame(scene: Scene, thread: Thread, taken: Taken) -> Frame | None:
    """Return the outer frame of the same thread that already holds the lock."""
    for position in range(taken.position + 1, len(thread.frames)):
        if taken.identity in held_identities(scene, thread, position):
            return thread.frames[position]
    return None


def _is_taken_at_module_level(scene: Scene, thread: Thread, taken: Taken) -> bool:
    """Whether the same function took the lock before and has not released it: a second `acquire` in a row."""
    return taken.identity in held_identities(scene, thread, taken.position)


def _self_deadlock(thread: Thread, evidence: Evidence, frame: Frame | None) -> Wait:
    names = [one.short_function for one in thread.frames]
    evidence |= {
        "holder": thread.label,
        "holder_frame": frame.short_function if frame else names[0],
        "depth": len(names),
        "gc": "__del__" in names,
    }
    return _wait(thread, "self_deadlock", evidence, nobody=True)


def _inherited(scene: Scene, thread: Thread, taken: Taken | None, lock: LockObject | None) -> Wait | None:
    """Tell a lock that was held when this process was forked, by a thread that only its parent has."""
    process = thread.process.process
    if not process.is_forked:
        return None
    parents = [one for one in scene.python_threads(process.parent_pid) if one.ident != thread.ident]
    by_owner = next((one for one in parents if lock is not None and lock.owner_ident == one.ident), None)
    by_source = _by_source(scene, parents, taken) if taken else None
    evidence: Evidence = {"lock": taken.text if taken else None, "holder_in_parent": None, "nobody_left": True}
    holder = by_owner or (by_source.thread if by_source else None)
    is_foreign = lock is not None and lock.owner_ident not in (
        0,
        *(one.ident for one in scene.python_threads(thread.pid)),
    )
    alone = len(scene.python_threads(thread.pid)) == 1
    if holder is None and not is_foreign and not (alone and parents):
        return None
    if holder is not None:
        evidence["holder_in_parent"] = holder.label
        evidence["holder_frame"] = by_source.frame.short_function if by_source and by_source.frame else None
    return _wait(thread, "fork_lock", evidence, is_sure=holder is not None or is_foreign, nobody=True)


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
