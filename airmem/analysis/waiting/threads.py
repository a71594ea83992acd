"""Waits of one thread for another within a process: joins, queues, conditions, events, futures, imports and locks."""

from __future__ import annotations

from airmem.analysis.waiting.caller import takes_work_in_loop
from airmem.analysis.waiting.futures import judge_future, working_children
from airmem.analysis.waiting.lock_holders import ENTERING, wanted_locks
from airmem.analysis.waiting.locks import judge_lock
from airmem.analysis.waiting.places import find_place
from airmem.analysis.waiting.waits import wait_of
from airmem.model.verdict import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.model.stack import Frame
    from airmem.model.verdict import Evidence, Target

JOINING = frozenset({"join", "_wait_for_tstate_lock"})
QUEUE_CALLS = frozenset({"get", "put"})
POOL_FILES = ("multiprocessing/pool.py", "concurrent/futures/process.py")


def judge_thread_wait(scene: Scene, thread: Thread) -> Wait:
    """Return the verdict on a thread that sleeps on something private to its process (a private futex)."""
    for judge in (_join, _shutdown, _import, judge_future, _queue, _condition):
        found = judge(scene, thread)
        if found is not None:
            return found
    return judge_lock(scene, thread)


def _join(scene: Scene, thread: Thread) -> Wait | None:
    """threading.Thread.join: the thread whose `_bootstrap_inner` has the same `self`."""
    frame = next(
        (one for one in thread.frames[:3] if one.short_function in JOINING and _is_of(one, "threading.py")), None
    )
    if frame is None:
        return None
    address = frame.local_address("self")
    others = _others(scene, thread)
    found = [
        one
        for one in others
        if address and any(_is_bootstrap(each) and each.local_address("self") == address for each in one.frames)
    ]
    needs: tuple[Target, ...] = tuple((one.pid, one.tid) for one in found)
    if any(_is_of(each, name) for one in found for each in one.frames for name in POOL_FILES):
        needs += working_children(scene, thread)  # the thread of a pool ends when its workers have
    evidence: Evidence = {"waits_for": found[0].label if found else None, "nobody_left": not others}
    return wait_of(thread, "join_wait", evidence, needs=needs, is_sure=bool(found))


def _shutdown(scene: Scene, thread: Thread) -> Wait | None:
    """The interpreter's end, which waits for every thread that is no daemon."""
    if not any(one.short_function == "_shutdown" and _is_of(one, "threading.py") for one in thread.frames[:2]):
        return None
    others = [one for one in _others(scene, thread) if not find_place(one.frames)]
    names = [one.label for one in others]
    evidence: Evidence = {"waits_for": names[0] if len(names) == 1 else names}
    return wait_of(thread, "shutdown_wait", evidence, needs=tuple((one.pid, one.tid) for one in others))


def _import(scene: Scene, thread: Thread) -> Wait | None:
    """The lock of a module that another thread is importing."""
    if not thread.frames or thread.frames[0].function != "_ModuleLock.acquire":
        is_lock = bool(thread.frames) and thread.frames[0].short_function == "acquire"
        if not (is_lock and thread.frames[0].file == "<frozen importlib._bootstrap>"):
            return None
    module = _module_name(thread.frames[:6])
    importers = [
        one
        for one in _others(scene, thread)
        if any(each.short_function in ("_load_unlocked", "exec_module") for each in one.frames)
    ]
    same = [one for one in importers if module and module in _importing(one)] or importers
    evidence: Evidence = {"module": module, "holder": same[0].label if same else None}
    needs: tuple[Target, ...] = tuple((one.pid, one.tid) for one in same[:1])
    return wait_of(thread, "import_lock", evidence, needs=needs, is_sure=bool(same))


def _queue(scene: Scene, thread: Thread) -> Wait | None:
    """queue.Queue and SimpleQueue: somebody must put, or take. Its mutex is a lock like others."""
    frames = thread.frames
    if frames[0].short_function in ENTERING and _is_of(frames[0], "threading.py"):
        return None
    in_queue = any(one.short_function in QUEUE_CALLS and _is_of(one, "queue.py") for one in frames[:4])
    if not in_queue and not _is_c_queue(scene, thread):
        return None
    place = find_place(frames)
    others = _others(scene, thread)
    if not place and others and not thread.is_main and takes_work_in_loop(scene, thread):
        place = "a worker with nothing to do: its loop takes the next piece of work from a queue"
    return wait_of(thread, "queue_wait", {"nobody_left": not others}, place=place, nobody=not others)


def _condition(scene: Scene, thread: Thread) -> Wait | None:
    """threading.Event, Condition and Barrier; a Semaphore is a lock that several may hold."""
    frames = [one for one in thread.frames[:6] if _is_of(one, "threading.py")]
    if not frames or thread.frames[0] is not frames[0] or frames[0].short_function != "wait":
        return None
    outer = [one.short_function for one in frames[1:]]
    if outer[:1] == ["acquire"]:
        return _semaphore(scene, thread)
    others = _others(scene, thread)
    is_event = outer[:1] == ["wait"] and _is_event(frames[1])
    evidence: Evidence = {"nobody_left": not others}
    place = find_place(thread.frames)
    if is_event and len(frames) > 2 and frames[2].function == "Timer.run":
        place = "a threading.Timer"
    return wait_of(thread, "event_wait" if is_event else "cond_wait", evidence, place=place, nobody=not others)


def _semaphore(scene: Scene, thread: Thread) -> Wait:
    """threading.Semaphore: who holds it is told by the source alone."""
    waits = judge_lock(scene, thread)
    taken = next(iter(wanted_locks(scene, thread)), None)
    evidence = dict(waits.evidence) | {"lock": taken.text if taken else None}
    return wait_of(thread, waits.category, evidence, needs=waits.needs, is_sure=False, nobody=waits.nobody)


def _is_event(frame: Frame) -> bool:
    return frame.function in ("wait", "Event.wait")


def _is_c_queue(scene: Scene, thread: Thread) -> bool:
    """Whether the innermost function calls `get` of something written in C: queue.SimpleQueue."""
    if not thread.frames or wanted_locks(scene, thread):
        return False
    frame = thread.frames[0]
    if find_place(thread.frames):
        return True
    return "get" in scene.syntax(thread.pid, frame).calls(frame.line)


def _module_name(frames: tuple[Frame, ...]) -> str | None:
    for frame in frames:
        for local in frame.locals or ():
            if local.name == "name" and local.text and _is_importlib(frame):
                return local.text.strip("'\"")
    return None


def _importing(thread: Thread) -> set[str]:
    """Return the modules that a thread is importing."""
    return {
        local.text.strip("'\"")
        for frame in thread.frames
        if _is_importlib(frame)
        for local in frame.locals or ()
        if local.name == "name" and local.text
    }


def _is_importlib(frame: Frame) -> bool:
    return "importlib" in frame.file


def _is_bootstrap(frame: Frame) -> bool:
    return frame.short_function == "_bootstrap_inner" and _is_of(frame, "threading.py")


def _is_of(frame: Frame, file: str) -> bool:
    return frame.file.endswith("/" + file)


def _others(scene: Scene, thread: Thread) -> list[Thread]:
    return [one for one in scene.python_threads(thread.pid) if one is not thread]
