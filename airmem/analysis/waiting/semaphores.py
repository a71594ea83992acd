"""Locks between processes: multiprocessing's semaphores, which processes share by mapping the same file.

A process's own object of the semaphore counts how often that process holds it: who has a count above zero holds it.
A lock that is taken and that nobody who maps it holds was taken by a process that is dead.
"""

from __future__ import annotations

from airmem.analysis.waiting.caller import takes_work_in_loop
from airmem.analysis.waiting.lock_holders import held_texts
from airmem.analysis.waiting.places import find_place, is_in
from airmem.analysis.waiting.scene import is_library
from airmem.analysis.waiting.timeouts import FUTEX_PRIVATE
from airmem.cpython.lock_objects import POINTER_OF_LOCK, find_semaphore, read_semaphore
from airmem.model.verdict import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.cpython.lock_objects import SemaphoreObject
    from airmem.model.verdict import Evidence
    from airmem.model.waiting import MappedFile

SYNCHRONIZE = ("multiprocessing/synchronize.py", "billiard/synchronize.py")


def is_shared_futex(thread: Thread) -> bool:
    """Whether a thread waits for a futex that other processes can see, too."""
    return thread.call_name == "futex" and not thread.arguments[1] & FUTEX_PRIVATE


def mapping_of(thread: Thread, address: int) -> MappedFile | None:
    """Return the mapping of a thread's process that an address lies in."""
    mappings = thread.process.mappings or ()
    return next((one for one in mappings if one.start_address <= address < one.end_address), None)


def judge_semaphore(scene: Scene, thread: Thread) -> Wait:
    """Return the verdict on a thread that waits for a semaphore between processes without end."""
    semlock = _name(scene, thread)
    evidence: Evidence = {"semlock": semlock, "lock": semlock}
    by_design = _by_design(thread, semlock)
    if by_design:
        return Wait(pid=thread.pid, tid=thread.tid, category=by_design, evidence=evidence, is_sure=False)
    mapping = mapping_of(thread, thread.arguments[0])
    sharers = _sharers(scene, mapping)
    own = _object_of(scene, thread.pid, thread.arguments[0], mapping)
    holder = _holder(scene, thread, mapping, sharers, own=own, semlock=semlock)
    place = find_place(thread.frames)
    if holder is None:
        return _nobody(scene, thread, evidence, sharers, own)
    evidence |= {"holder_pid": holder.pid, "holder": holder.label, "holder_frame": _frame_of(holder)}
    reads = holder.call_name in ("read", "recvfrom", "poll", "recvmsg")
    in_queue = is_in(holder.frames, "multiprocessing/queues.py", "get") and takes_work_in_loop(scene, thread)
    if reads and (place or in_queue):
        place = f"{place or 'a worker'}: in the queue's lock, while another one waits for the next piece of work"
    else:
        place = ""
    return Wait(
        pid=thread.pid,
        tid=thread.tid,
        category="mp_lock_wait",
        evidence=evidence,
        needs=((holder.pid, holder.tid),),
        place=place,
    )


def _by_design(thread: Thread, semlock: str | None) -> str:
    """Return what a semaphore stands for when it is no lock: a condition, an event, the room of a queue."""
    name = (semlock or "").rpartition(".")[2]
    for frame in thread.frames[:4]:
        if frame.file.endswith(SYNCHRONIZE) and frame.short_function in ("wait", "wait_for"):
            return "event_wait" if "Event" in frame.function or _is_event(thread) else "cond_wait"
    if name == "_sem" and is_in(thread.frames[:4], "multiprocessing/queues.py", "put"):
        return "queue_wait"
    return ""


def _is_event(thread: Thread) -> bool:
    """Whether the wait of a condition was called by the wait of an event: both are called `wait`."""
    waits = [one for one in thread.frames[:5] if one.file.endswith(SYNCHRONIZE) and one.short_function == "wait"]
    return len(waits) > 1


def _name(scene: Scene, thread: Thread) -> str | None:
    """Return the text of the semaphore in the innermost frame outside multiprocessing's own wrappers."""
    for frame in thread.frames[:4]:
        if frame.file.endswith(SYNCHRONIZE) and frame.short_function in ("__enter__", "acquire"):
            continue
        text = next(iter(scene.syntax(thread.pid, frame).wanted_locks(frame.line)), None)
        return text.rpartition(".")[2] if text and frame.file.endswith("/queues.py") else text
    return None


def _sharers(scene: Scene, mapping: MappedFile | None) -> dict[int, int]:
    """Return where each process of the tree maps the same file: pid -> start address."""
    if mapping is None or not mapping.inode:
        return {}
    found = {}
    for pid, process in scene.snapshot.processes.items():
        if pid not in scene.by_process:
            continue
        for one in process.mappings or ():
            if one.inode == mapping.inode and one.device == mapping.device:
                found[pid] = one.start_address
    return found


def _holder(
    scene: Scene,
    thread: Thread,
    mapping: MappedFile | None,
    sharers: dict[int, int],
    *,
    own: SemaphoreObject | None,
    semlock: str | None,
) -> Thread | None:
    """Return the thread that holds the semaphore: by the counts in memory, else by the source of who shares it."""
    offset = thread.arguments[0] - mapping.start_address if mapping else 0
    for pid, start in sharers.items():
        found = _object_of(scene, pid, start + offset, mapping)
        waits_for_it = any(_waits_at(one, start + offset) for one in scene.by_process[pid])
        if found is not None and found.held_count > 0 and found.kind in (0, 1):
            owner = _thread_of(scene, pid, found)
            if owner is not None and not (waits_for_it and _waits_at(owner, start + offset)):
                return owner
    if own is not None:
        return None
    return _holder_by_source(scene, thread, sharers, semlock)


def _holder_by_source(scene: Scene, thread: Thread, sharers: dict[int, int], semlock: str | None) -> Thread | None:
    if not semlock:
        return None
    for pid in sharers:
        for other in scene.python_threads(pid):
            if other.call_name == "futex" and other.arguments[0] == thread.arguments[0]:
                continue
            for position, frame in enumerate(other.frames):
                held = {text.rpartition(".")[2] for text in held_texts(scene, other, position)}
                same = any(one.file == frame.file for one in thread.frames[:4])
                if same and semlock.rpartition(".")[2] in held:
                    return other
    return None


def _waits_at(thread: Thread, address: int) -> bool:
    return thread.call_name == "futex" and thread.arguments[0] == address


def _thread_of(scene: Scene, pid: int, found: SemaphoreObject) -> Thread | None:
    """Return the thread that took it last; after a fork the first thread has its parent's ident."""
    threads = scene.by_process.get(pid, [])
    by_ident = next((one for one in threads if one.ident == found.last_ident), None)
    return by_ident or next((one for one in threads if one.is_main), None)


def _object_of(scene: Scene, pid: int, address: int, mapping: MappedFile | None) -> SemaphoreObject | None:
    """Return a process's object of a semaphore: first where a relative has it, which a fork leaves in place."""
    objects = scene.objects(pid)
    known = scene.semaphore_addresses.setdefault((mapping.device, mapping.inode) if mapping else ("", 0), [])
    for one in known:
        if objects.word(one + POINTER_OF_LOCK) == address and (found := read_semaphore(objects, one)) is not None:
            return found
    found = find_semaphore(objects, address)
    if found is not None:
        known.append(found.address)
    return found


def _nobody(
    scene: Scene,
    thread: Thread,
    evidence: Evidence,
    sharers: dict[int, int],
    own: SemaphoreObject | None,
) -> Wait:
    """Return the verdict where nobody is found to hold it: its holder is dead, or it is no lock but a counter."""
    is_lock = own is None or own.most_count <= 1
    is_part = any(scene.snapshot.processes[root].process.is_forked for root in scene.snapshot.root_pids)
    if not is_lock or is_part or scene.is_search_cut:  # the holder may be one that nobody looked at
        return Wait(pid=thread.pid, tid=thread.tid, category="mp_lock_wait", evidence=evidence, is_sure=False)
    evidence |= {"holder": "dead", "nobody_left": True}
    unseen = any(not (scene.snapshot.processes[pid].mappings) for pid in scene.by_process)
    return Wait(
        pid=thread.pid,
        tid=thread.tid,
        category="mp_lock_orphaned",
        evidence=evidence,
        is_sure=own is not None and bool(sharers) and not unseen,
        nobody=True,
    )


def _frame_of(holder: Thread) -> str | None:
    own = [one for one in holder.frames if not is_library(one)] or list(holder.frames)
    return own[0].short_function if own else None
