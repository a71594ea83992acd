"""Event loops: idle ones, ones that nothing can wake, and ones that a blocking call keeps from running."""

from __future__ import annotations

import math

from airmem.analysis.waiting.endpoints import EPOLLS, socket_evidence, watched_endpoints
from airmem.analysis.waiting.futures import is_pool_worker, waits_for_future
from airmem.analysis.waiting.places import find_place, is_in
from airmem.analysis.waiting.scene import is_standard
from airmem.analysis.waiting.timeouts import MINUTE_SECONDS, timeout_of
from airmem.analysis.waiting.transfers import judge_endpoints
from airmem.analysis.waiting.waits import handles_signals
from airmem.cpython.asyncio_tasks import find_tasks
from airmem.model.verdict import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.endpoints import Endpoint
    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.cpython.asyncio_tasks import AsyncTask
    from airmem.model.stack import Frame
    from airmem.model.verdict import Evidence

MOST_NAMED = 20
COMPILED_LOOP = "/uvloop/loop."


def is_epoll(thread: Thread) -> bool:
    """Whether a thread waits for any of the descriptors of an epoll set."""
    return thread.call_name in EPOLLS


def judge_epoll(scene: Scene, thread: Thread) -> Wait:
    """Return the verdict on a thread in epoll_wait: nearly always the idle life of a server or an event loop."""
    watched = watched_endpoints(scene, thread.pid, thread.arguments[0] & 0xFFFFFFFF)
    timeout = timeout_of(scene, thread)
    listening = [one for one in watched or () if one.is_listening]
    if listening:
        return _idle(thread, {"listening": _address(listening[0])}, "it listens for connections")
    if watched and _is_plain_client(thread, timeout, watched):
        return judge_endpoints(scene, thread, watched)
    only_own = watched is not None and all(_is_own(scene, thread, one) for one in watched)
    if only_own and timeout == math.inf and in_event_loop(thread) and _is_alone(scene, thread):
        if handles_signals(thread):
            return _idle(thread, task_evidence(scene, thread), "an event loop that waits for a signal")
        return Wait(
            pid=thread.pid,
            tid=thread.tid,
            category="asyncio_starved",
            evidence={**task_evidence(scene, thread), "nobody_left": True},
            nobody=True,
        )
    evidence: Evidence = {"watched": [_what(one) for one in watched or ()][:MOST_NAMED]}
    clients = [one for one in watched or () if one.kind in ("tcp", "udp") and one.socket and one.socket.remote]
    if clients:
        evidence |= {**socket_evidence(clients[0]), **task_evidence(scene, thread)}
    if timeout is not None and timeout < math.inf:
        evidence["timeout_s"] = round(timeout, 3)
    return _idle(thread, evidence, "an event loop that waits for one of its descriptors, a timer or a thread")


def _is_plain_client(thread: Thread, timeout: float | None, watched: list[Endpoint]) -> bool:
    """Whether this is no event loop, but a client that waits for its servers by epoll, without end."""
    is_client = bool(thread.frames) and not in_event_loop(thread) and all(one.kind == "tcp" for one in watched)
    return is_client and timeout == math.inf


def in_event_loop(thread: Thread) -> bool:
    """Whether an event loop is on the stack of a thread: asyncio's, or uvloop's, which has no frames of its own."""
    is_compiled = bool(thread.frames) and any(COMPILED_LOOP in one.name for one in thread.process.mappings or ())
    return is_compiled or is_in(thread.frames, "asyncio/base_events.py", "_run_once")


def blocking_frames(scene: Scene, thread: Thread) -> tuple[Frame, ...]:
    """Return the frames of what the loop is running, innermost first; none where the loop itself waits."""
    names = [one.short_function for one in thread.frames]
    for position, frame in enumerate(thread.frames[:-1]):
        if (
            names[position] == "_run"
            and names[position + 1] == "_run_once"
            and frame.file.endswith("/asyncio/events.py")
        ):
            return thread.frames[:position]
    return _under_compiled_loop(scene, thread)


def _under_compiled_loop(scene: Scene, thread: Thread) -> tuple[Frame, ...]:
    """Return what runs in a coroutine that a loop without frames of its own (uvloop) has called."""
    if not any("/uvloop/" in one.file or one.file.endswith("/asyncio/runners.py") for one in thread.frames):
        return ()
    for position, frame in enumerate(thread.frames):
        if not is_standard(frame) and scene.syntax(thread.pid, frame).is_coroutine(frame.line):
            return thread.frames[: position + 1]
    return ()


def judge_blocked(scene: Scene, thread: Thread, wait: Wait) -> Wait:
    """Return the verdict on a blocking call inside an event loop's callback: every other task waits for it."""
    running = blocking_frames(scene, thread)
    if not running or wait.category in ("idle", "running", "self_deadlock", "lock_deadlock", "fork_lock"):
        return wait
    evidence = dict(wait.evidence) | {"coroutine": _outermost(running), "blocked_by": wait.category}
    name = _running_task(scene, thread, running)
    if name:
        evidence["task"] = name
    return Wait(
        pid=wait.pid,
        tid=wait.tid,
        category="asyncio_blocked",
        evidence=evidence,
        needs=wait.needs,
        needs_all=wait.needs_all,
        is_sure=wait.is_sure,
        nobody=wait.nobody,
    )


def task_evidence(scene: Scene, thread: Thread) -> Evidence:
    """Return the tasks of a thread's event loop that wait for what is no task, and their coroutines."""
    tasks = _tasks(scene, thread)
    addresses = {one.address for one in tasks}
    leaves = [one for one in tasks if one.awaits_address not in addresses] or tasks
    names = list(dict.fromkeys(one.name or one.coroutines[0] for one in leaves))[:MOST_NAMED]
    coroutines = list(dict.fromkeys(name for one in leaves for name in reversed(one.coroutines) if name))[:MOST_NAMED]
    return {
        "task": names[0] if len(names) == 1 else names or None,
        "coroutine": coroutines[0] if len(coroutines) == 1 else coroutines or None,
    }


def _tasks(scene: Scene, thread: Thread) -> list[AsyncTask]:
    for frame in thread.frames:
        loop = frame.local_address("self") if frame.short_function == "_run_once" else None
        if loop:
            return list(find_tasks(scene.objects(thread.pid), loop))
    return []


def _running_task(scene: Scene, thread: Thread, running: tuple[Frame, ...]) -> str:
    """Return the name of the task whose step runs: the one with the outermost coroutine on the stack."""
    outermost = _outermost(running)
    tasks = [
        one for one in _tasks(scene, thread) if one.coroutines[0].rpartition(".")[2] == outermost and not one.awaits
    ]
    return tasks[0].name if len(tasks) == 1 else ""


def _outermost(running: tuple[Frame, ...]) -> str:
    return running[-1].short_function


def _is_own(scene: Scene, thread: Thread, endpoint: Endpoint) -> bool:
    """Whether a watched descriptor is the loop's own: a socket pair, pipe or eventfd with both ends in this process."""
    if endpoint.kind == "unix":
        socket = endpoint.socket
        return socket is not None and not endpoint.is_listening and scene.users(socket.peer_inode) in ([thread.pid], [])
    if endpoint.kind == "pipe":
        return not endpoint.peers
    return endpoint.kind == "eventfd"


def _is_alone(scene: Scene, thread: Thread) -> bool:
    """Whether no other thread of the process could wake the loop."""
    others = [one for one in scene.python_threads(thread.pid) if one is not thread]
    return all(_cannot_wake(scene, one) for one in others)


def _cannot_wake(scene: Scene, other: Thread) -> bool:
    """Whether a thread has nothing to do, or waits without end for what the loop alone can give: a future."""
    if is_pool_worker(other) and find_place(other.frames):
        return True
    return other.call_name == "futex" and timeout_of(scene, other) == math.inf and waits_for_future(other)


def _idle(thread: Thread, evidence: Evidence, mechanism: str) -> Wait:
    timeout = evidence.get("timeout_s")
    return Wait(
        pid=thread.pid,
        tid=thread.tid,
        category="idle",
        evidence={**evidence, "mechanism": mechanism},
        place=mechanism,
        is_timed=isinstance(timeout, float) and timeout < MINUTE_SECONDS,
    )


def _address(endpoint: Endpoint) -> object:
    return (endpoint.socket.local if endpoint.socket else "") or True


def _what(endpoint: Endpoint) -> str:
    if endpoint.socket is not None:
        return endpoint.socket.remote or endpoint.socket.local or "a socket"
    return endpoint.descriptor.link if endpoint.descriptor else f"descriptor {endpoint.number}"
