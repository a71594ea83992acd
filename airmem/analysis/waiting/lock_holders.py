"""Who holds a lock between the threads of one process, the surest way first.

The owner that an RLock names; a `with` block or an `acquire()` on somebody's stack, by its source; the bound method
that a `with` block keeps in memory; a function that takes the lock for its caller. A text such as `LOCKS[key]`, or the
variable of a function around, is another object in each call: by that alone a holder is only told where no other
thread comes into question.
"""

from __future__ import annotations

from dataclasses import dataclass

from airmem.analysis.waiting.caller import inner_name
from airmem.analysis.waiting.scene import is_library
from airmem.cpython.lock_objects import find_exits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.cpython.lock_objects import LockObject
    from airmem.model.stack import Frame

Identity: TypeAlias = "tuple[str | int, str]"
ENTERING = frozenset({"__enter__", "acquire", "__aenter__", "_acquire_restore", "_acquireLock"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A lock that a frame waits for: its text there, what identifies it, and how far out the frame is.

    `is_exact` tells that the identity is that of one object. `is_with` tells a `with` from an `acquire()`.
    """

    text: str
    identity: Identity
    position: int
    is_exact: bool
    is_with: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Who holds a lock: the thread, the frame that took it where that is known, and how it was told."""

    thread: Thread
    frame: Frame | None
    how: str
    is_sure: bool


def wanted_locks(scene: Scene, thread: Thread) -> list[Taken]:
    """Return the locks that a thread may be taking, by the innermost frame outside threading.py that takes one."""
    for position, frame in enumerate(thread.frames[:6]):
        if frame.file.endswith("/threading.py"):
            continue
        syntax = scene.syntax(thread.pid, frame)
        texts = syntax.wanted_locks(frame.line)
        if texts:
            return [
                Taken(
                    text=text,
                    identity=identity_of(text, frame),
                    position=position,
                    is_exact=_is_exact(scene, thread, frame, text),
                    is_with=syntax.is_with(frame.line),
                )
                for text in texts
            ]
        if not (is_library(frame) and frame.short_function in ENTERING):
            return []
    return []


def identity_of(text: str, frame: Frame) -> Identity:
    """Return what tells a lock from another: the object that its first name is bound to, or the file, and the rest."""
    head, _, rest = text.partition(".")
    address = frame.local_address(head)
    return (address, rest) if address else (frame.file, text)


def held_texts(scene: Scene, thread: Thread, position: int) -> frozenset[str]:
    """Return the locks that one frame of a thread holds, as far as its source tells."""
    frame, inner = thread.frames[position], inner_name(thread, position)
    is_entering = (position == 0 and thread.call_name == "futex") or inner in ENTERING
    return scene.syntax(thread.pid, frame).held_locks(frame.line, inner, is_entering)


def find_own_frame(scene: Scene, thread: Thread, taken: Taken, is_exact: bool) -> Frame | None:
    """Return the frame of the same thread that already holds the lock; of `with` in its own frame only outer ones."""
    for position, frame, is_same in _frames_with(scene, thread, taken):
        if position >= taken.position and is_same == is_exact:
            return frame
    return None


def find_holder(
    scene: Scene, thread: Thread, others: list[Thread], taken: Taken | None, lock: LockObject | None
) -> Holding | None:
    """Return which of the other threads of the process holds a lock, None if none is found."""
    if lock is not None and lock.owner_ident:
        owner = next((one for one in others if one.ident == lock.owner_ident), None)
        return _held(scene, owner, taken, "the RLock names its owner") if owner else None
    by_source = _by_source(scene, others, taken, True)[:1] if taken else []
    if by_source:
        return by_source[0]
    in_block = _by_memory(scene, thread, others, lock, taken) if lock is not None else None
    if in_block is not None:
        return _held(scene, in_block, taken, "its with block is on the interpreter's stack")
    alike = _by_source(scene, others, taken, False) if taken else []
    if len(alike) == 1:
        return alike[0]
    return _by_acquirer(scene, thread, others, taken) if taken else None


def is_in_own_block(scene: Scene, thread: Thread, others: list[Thread], lock: LockObject, entered_count: int) -> bool:
    """Whether a thread is in more `with` blocks of a lock than it is entering: ones that no other thread may be in."""
    found = _exits(scene, thread, lock)
    for other in others:
        if len(found) <= entered_count:
            return False
        found -= _exits(scene, other, lock)
    return len(found) > entered_count


def find_by_source(scene: Scene, threads: list[Thread], taken: Taken) -> Holding | None:
    """Return who holds a lock by the source alone, None if it is nobody or may be several."""
    exact, alike = (_by_source(scene, threads, taken, is_exact) for is_exact in (True, False))
    return exact[0] if exact else alike[0] if len(alike) == 1 else None


def find_own_call(scene: Scene, thread: Thread, taken: Taken) -> Frame | None:
    """Return the outer frame of the same thread that called a function which took this lock for it."""
    found = _calling_frame(scene, thread, thread, taken, taken.position + 1)
    return found[0] if found else None


def find_releaser(scene: Scene, others: list[Thread], taken: Taken) -> Thread | None:
    """Return the thread that is to give back a lock that it has not taken: a lock used as a signal."""
    for other in others:
        for frame in other.frames:
            syntax = scene.syntax(other.pid, frame)
            is_same = identity_of(taken.text, frame) == taken.identity and taken.is_exact
            if is_same and syntax.releases(frame.line, taken.text):
                return other
    return None


def may_hold_of_several(scene: Scene, thread: Thread, taken: Taken) -> bool:
    """Whether a thread that is taking one of several locks of a line may hold this one, which it takes before."""
    for frame in thread.frames[:6]:
        texts = scene.syntax(thread.pid, frame).entered_locks(frame.line)
        if any(identity_of(text, frame) == taken.identity for text in texts):
            return True
    return False


def _is_exact(scene: Scene, thread: Thread, frame: Frame, text: str) -> bool:
    syntax = scene.syntax(thread.pid, frame)
    is_bound = frame.local_address(text.partition(".")[0]) is not None
    return (is_bound and syntax.is_dotted(text)) or syntax.is_exact(frame.line, text)


def _frames_with(scene: Scene, thread: Thread, taken: Taken) -> Iterator[tuple[int, Frame, bool]]:
    """Yield the frames of a thread that hold a lock of this identity, and whether it is one object for certain."""
    for position, frame in enumerate(thread.frames):
        for text in held_texts(scene, thread, position):
            if identity_of(text, frame) == taken.identity:
                yield position, frame, taken.is_exact and _is_exact(scene, thread, frame, text)


def _by_source(scene: Scene, others: list[Thread], taken: Taken, is_exact: bool) -> list[Holding]:
    found = []
    for other in others:
        frame = next((one for _, one, is_same in _frames_with(scene, other, taken) if is_same == is_exact), None)
        if frame is not None:
            found.append(Holding(thread=other, frame=frame, how="its source holds it there", is_sure=is_exact))
    return found


def _by_memory(
    scene: Scene, thread: Thread, others: list[Thread], lock: LockObject, taken: Taken | None
) -> Thread | None:
    """Return the thread that is in a `with` block by its source, and in one of this lock by its stack."""
    inside = [(one, _exits(scene, one, lock)) for one in others if _is_in_block(scene, one)]
    found = [(one, exits) for one, exits in inside if exits]
    if len(found) == 1 and taken and any(True for _ in _frames_with(scene, found[0][0], taken)):
        return found[0][0]  # the text is the same, too: whose left-over slot could that be?
    own = _exits(scene, thread, lock)
    sure = [other for other, exits in found if exits - own] or [other for other, _ in found if len(found) == 1]
    return sure[0] if sure else None


def _exits(scene: Scene, thread: Thread, lock: LockObject) -> frozenset[int]:
    name = (thread.pid, thread.tid, lock.address)
    if name not in scene.exits:
        scene.exits[name] = find_exits(scene.objects(thread.pid), lock.address, thread.ident, thread.tid)
    return scene.exits[name]


def _is_in_block(scene: Scene, thread: Thread) -> bool:
    """Whether a frame of a thread is in a `with` block, or has a source that nobody can read."""
    return any(
        held_texts(scene, thread, at) or not scene.syntax(thread.pid, frame).is_known
        for at, frame in enumerate(thread.frames)
        if not frame.file.startswith("<frozen")
    )


def _by_acquirer(scene: Scene, thread: Thread, others: list[Thread], taken: Taken) -> Holding | None:
    """Look for a frame that called a function which takes this lock and returns with it: of one object, if known."""
    found = [(other, _calling_frame(scene, thread, other, taken, 0)) for other in others]
    calls = [(other, called) for other, called in found if called is not None]
    same = [one for one in calls if one[1][1]] or (calls if len(calls) == 1 else [])
    how = "it called a function that takes it"
    return Holding(thread=same[0][0], frame=same[0][1][0], how=how, is_sure=False) if same else None


def _calling_frame(scene: Scene, thread: Thread, other: Thread, taken: Taken, start: int) -> tuple[Frame, bool] | None:
    """Return the frame of `other`, from `start` outwards, that had the lock taken for it by a call.

    The second value tells that the call was made on the same object as the one that waits.
    """
    taker = thread.frames[taken.position]
    source = scene.syntax(thread.pid, taker)
    takers, givers = source.acquirers(taken.text), source.releasers(taken.text)
    alike: Frame | None = None
    for position, frame in enumerate(other.frames if takers else ()):
        if frame.file != taker.file or position < start:
            continue
        inner = inner_name(other, position)
        for receiver in scene.syntax(other.pid, frame).taken_by_calls(frame.line, inner, takers, givers):
            is_same = _is_same_receiver(scene, (thread, taken), (other, frame), receiver)
            if is_same:
                return frame, True
            alike = frame if is_same is None else alike
    return (alike, False) if alike else None


def _is_same_receiver(
    scene: Scene, waiting: tuple[Thread, Taken], called: tuple[Thread, Frame], receiver: str
) -> bool | None:
    """Whether a call was on the object whose lock is waited for; None where that is not known."""
    (thread, taken), (other, frame) = waiting, called
    owner = taken.identity[0]
    address = frame.local_address(receiver) if receiver else None
    if address is not None and isinstance(owner, int):
        return address == owner
    if not receiver or not isinstance(owner, int):
        return taken.is_exact or None
    position = taken.position + 1
    if position >= len(thread.frames) or thread.frames[position].file != frame.file:
        return None
    calling = thread.frames[position]
    syntax = scene.syntax(thread.pid, calling)
    own = syntax.receiver(calling.line, inner_name(thread, position))
    is_exact = syntax.is_exact(calling.line, own) and scene.syntax(other.pid, frame).is_exact(frame.line, receiver)
    return own == receiver if own and is_exact else None


def _held(scene: Scene, owner: Thread, taken: Taken | None, how: str) -> Holding:
    found = find_by_source(scene, [owner], taken) if taken else None
    return Holding(thread=owner, frame=found.frame if found else None, how=how, is_sure=True)
