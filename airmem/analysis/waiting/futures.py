"""Waits for results: of futures, of pools of threads and of processes, and who is to bring them."""

from __future__ import annotations

from airmem.analysis.waiting.places import find_place, is_in
from airmem.analysis.waiting.waits import wait_of
from airmem.cpython.queue_objects import count_queued

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.model.stack import Frame
    from airmem.model.verdict import Evidence, Target, Wait

FUTURE_CALLS = frozenset({"result", "exception", "wait", "as_completed"})
FUTURE_FILE = "/concurrent/futures/_base.py"
POOL_FILES = ("/multiprocessing/pool.py", "/billiard/pool.py")
POOL_CALLS = frozenset({"wait", "get", "next", "__next__"})
WORKING = (("multiprocessing/pool.py", "worker"), ("concurrent/futures/process.py", "_process_worker"))
"""(file, function) in which a pool's child runs its tasks."""

HANDLERS = ("multiprocessing/pool.py", "_handle_tasks", "_handle_results")
LOST = "a result of a pool whose workers are all idle: one that has ended took the work along"

NEAR_WORDS = 32
"""How many words around an object and behind its pointers are searched for another's address: its attributes."""


def judge_future(scene: Scene, thread: Thread) -> Wait | None:
    """A future's result; a worker of a pool all of whose workers wait for results is waiting for itself."""
    if any(_is_pool_call(frame) for frame in thread.frames[:5]):
        return _pool_result(scene, thread)
    if not waits_for_future(thread):
        return None
    others = [one for one in scene.python_threads(thread.pid) if one is not thread]
    if is_pool_worker(thread):
        exhausted = _exhausted(scene, thread)
        if exhausted is not None:
            return exhausted
    found = _runner(scene, thread, others)
    needs = ((found.pid, found.tid),) if found else _may_answer(scene, thread, others)
    evidence: Evidence = {"nobody_left": not others and not needs}
    if found:
        evidence["waits_for"] = found.label
    nobody = not others and not needs
    return wait_of(
        thread, "future_wait", evidence, needs=needs, needs_all=False, is_sure=found is not None, nobody=nobody
    )


def is_pool_worker(thread: Thread) -> bool:
    """Whether this is a worker thread of a ThreadPoolExecutor or of multiprocessing's ThreadPool."""
    return is_in(thread.frames, "concurrent/futures/thread.py", "_worker") or (
        not thread.is_main and is_in(thread.frames, "multiprocessing/pool.py", "worker")
    )


def waits_for_future(thread: Thread) -> bool:
    """Whether a thread waits for the result of a future."""
    return any(_is_future_call(frame) for frame in thread.frames[:5])


def working_children(scene: Scene, thread: Thread) -> tuple[Target, ...]:
    """Return the children of a thread's process that are doing a pool's work."""
    return tuple((one.pid, None) for one in _pool_children(scene, thread) if not find_place(one.frames))


def _pool_children(scene: Scene, thread: Thread) -> list[Thread]:
    """Return the main threads of the children that run a pool's loop."""
    return [
        one
        for (pid, tid), one in scene.threads.items()
        if pid == tid
        and one.process.process.parent_pid == thread.pid
        and any(is_in(one.frames, file, function) for file, function in WORKING)
    ]


def _pool_result(scene: Scene, thread: Thread) -> Wait:
    """multiprocessing.Pool: map, get, imap. A result that no worker is at any more was lost with a worker."""
    workers = [one for one in scene.python_threads(thread.pid) if is_pool_worker(one) and one is not thread]
    children = _pool_children(scene, thread)
    handlers = [one for one in scene.python_threads(thread.pid) if is_in(one.frames, *HANDLERS)]
    at_work = [one for one in (*workers, *handlers) if not find_place(one.frames) or one.call_name == "write"]
    busy: tuple[Target, ...] = tuple((one.pid, one.tid) for one in at_work)
    busy += working_children(scene, thread)
    is_lost = bool(children) and not busy and not workers and all(one.is_still for one in children)
    evidence: Evidence = {"nobody_left": is_lost}
    if is_lost:
        evidence["waits_for"] = LOST
    return wait_of(thread, "future_wait", evidence, needs=busy, needs_all=False, is_sure=bool(busy), nobody=is_lost)


def _exhausted(scene: Scene, thread: Thread) -> Wait | None:
    """Tell a worker that waits for work behind it in its own pool: every worker waits, and work is queued."""
    pool = _pool_of(thread)
    workers = [one for one in scene.python_threads(thread.pid) if is_pool_worker(one) and _pool_of(one) == pool]
    queued = _queued_count(scene, thread)
    if not all(waits_for_future(one) for one in workers) or queued == 0:
        return None
    evidence: Evidence = {"waits_for": [one.label for one in workers], "queued_count": queued}
    return wait_of(thread, "pool_exhausted", evidence, is_sure=queued is not None, nobody=queued is not None)


def _runner(scene: Scene, thread: Thread, others: list[Thread]) -> Thread | None:
    """Return the thread that is at the work whose result is waited for: its work item points at the future."""
    frame = next((one for one in thread.frames[:5] if _is_future_call(one)), None)
    future = frame.local_address("self") if frame else None
    if not future:
        return None
    for other in others:
        for one in other.frames:
            is_item = one.short_function == "run" and one.file.endswith("/concurrent/futures/thread.py")
            item = one.local_address("self") if is_item else None
            if item and _points_at(scene, thread.pid, item, future):
                return other
    return None


def _may_answer(scene: Scene, thread: Thread, others: list[Thread]) -> tuple[Target, ...]:
    """Return who may set a future: of several at once the pools' workers at work, else any busy thread."""
    workers: tuple[Target, ...] = tuple(
        (one.pid, one.tid) for one in others if is_pool_worker(one) and not find_place(one.frames)
    )
    workers += working_children(scene, thread)
    is_one = any(one.short_function in ("result", "exception") and _is_future_call(one) for one in thread.frames[:5])
    if workers and not is_one:
        return workers
    free = tuple((one.pid, one.tid) for one in others if not is_pool_worker(one) and not find_place(one.frames))
    return workers + free


def _points_at(scene: Scene, pid: int, address: int, target: int) -> bool:
    """Whether an object has another one as an attribute: in the words around it, or behind those."""
    objects = scene.objects(pid)
    start = address - NEAR_WORDS // 4 * 8
    near = objects.words(start, NEAR_WORDS)
    if target in near:
        return True
    pointers = [one for one in near if not one % 8 and 1 << 16 < one < 1 << 47]
    return any(target in objects.words(one, NEAR_WORDS) for one in pointers)


def _is_pool_call(frame: Frame) -> bool:
    return frame.short_function in POOL_CALLS and frame.file.endswith(POOL_FILES) and "Pool." not in frame.function


def _is_future_call(frame: Frame) -> bool:
    return frame.short_function in FUTURE_CALLS and frame.file.endswith(FUTURE_FILE)


def _pool_of(thread: Thread) -> int | str:
    """Return what identifies the pool of a worker: its queue, else the beginning of its name."""
    for frame in thread.frames:
        for name in ("work_queue", "inqueue"):
            address = frame.local_address(name)
            if address:
                return address
    return (thread.name or "").rpartition("_")[0]


def _queued_count(scene: Scene, thread: Thread) -> int | None:
    """Return how much work a pool has not begun, None if that cannot be read."""
    for frame in thread.frames:
        address = frame.local_address("work_queue")
        if address:
            return count_queued(scene.objects(thread.pid), address)
    return None
