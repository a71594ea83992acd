"""Where threads wait by design: parts of libraries whose life is to wait for work, told by their frames."""

from __future__ import annotations

from airmem.analysis.waiting.scene import is_standard
from airmem.services.waiting_places import SERVICE_PLACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.stack import Frame

LIBRARY_PLACES: dict[tuple[str, str], str] = {
    ("concurrent/futures/thread.py", "_worker"): "a ThreadPoolExecutor worker with nothing to do",
    ("concurrent/futures/process.py", "_process_worker"): "a ProcessPoolExecutor worker with nothing to do",
    ("concurrent/futures/process.py", "wait_result_broken_or_wakeup"): "the thread that manages a ProcessPoolExecutor",
    ("concurrent/futures/process.py", "_queue_management_worker"): "the thread that manages a ProcessPoolExecutor",
    ("multiprocessing/pool.py", "worker"): "a multiprocessing.Pool worker with nothing to do",
    ("multiprocessing/pool.py", "_handle_workers"): "a thread of a multiprocessing.Pool",
    ("multiprocessing/pool.py", "_handle_tasks"): "a thread of a multiprocessing.Pool",
    ("multiprocessing/pool.py", "_handle_results"): "a thread of a multiprocessing.Pool",
    ("multiprocessing/queues.py", "_feed"): "the feeder of a multiprocessing.Queue with nothing to send",
    ("multiprocessing/managers.py", "serve_forever"): "a multiprocessing manager",
    ("multiprocessing/managers.py", "accepter"): "a multiprocessing manager",
    ("multiprocessing/managers.py", "serve_client"): "a multiprocessing manager's connection to a quiet client",
    ("multiprocessing/forkserver.py", "main"): "multiprocessing's fork server",
    ("multiprocessing/resource_tracker.py", "main"): "multiprocessing's resource tracker",
    ("multiprocessing/resource_sharer.py", "_serve"): "multiprocessing's resource sharer",
    ("asyncio/unix_events.py", "_do_waitpid"): "asyncio's watcher of a child process",
    ("logging/handlers.py", "_monitor"): "a logging.QueueListener with nothing to write",
    ("logging/config.py", "run"): "logging's configuration server",
    ("socketserver.py", "serve_forever"): "a socketserver between requests",
    ("wsgiref/simple_server.py", "serve_forever"): "a WSGI server between requests",
    ("asyncore.py", "loop"): "an asyncore loop",
    ("sched.py", "run"): "a sched.scheduler between events",
    ("cmd.py", "cmdloop"): "a prompt",
    ("code.py", "interact"): "a prompt",
    ("pdb.py", "interaction"): "a debugger's prompt",
}
"""(end of the file, function) -> what waits there."""

BUSY_IN = {"serve_client": ("multiprocessing/connection.py", "queue.py", "threading.py")}
"""Places that wait by design only in these files: a manager waits for a queue because its client does."""

PLUMBING = (
    "queue.py", "threading.py", "logging/handlers.py", "selectors.py", "socket.py", "ssl.py", "_weakrefset.py",
    "signal.py",
    "contextlib.py",
    "multiprocessing/connection.py", "multiprocessing/queues.py", "multiprocessing/synchronize.py",
    "multiprocessing/popen_fork.py", "multiprocessing/pool.py", "concurrent/futures/process.py",
    "multiprocessing/managers.py", "billiard/connection.py", "billiard/queues.py", "billiard/synchronize.py",
    "billiard/pool.py", "kombu/asynchronous/hub.py",
    "kombu/utils/eventio.py", "asyncio/base_events.py", "asyncio/selector_events.py", "asyncio/unix_events.py",
)  # fmt: skip
"""Files whose functions only wait on somebody's behalf: between a place and the system call nothing else may stand."""


def find_place(frames: tuple[Frame, ...]) -> str:
    """Return what waits here by design, empty where the thread is doing somebody's work.

    From the innermost frame outwards, only plumbing may stand inside the place: the function of a task that runs in a
    pool's worker ends the search.
    """
    for position, frame in enumerate(frames):
        found = _name_place(frame)
        if found:
            only = BUSY_IN.get(frame.short_function)
            return found if only is None or all(_is_of(one, only) for one in frames[:position]) else ""
        if not _is_plumbing(frame):
            return ""
    return ""


def _name_place(frame: Frame) -> str:
    for (file, function), meaning in (*LIBRARY_PLACES.items(), *SERVICE_PLACES.items()):
        if frame.short_function == function and frame.file.endswith("/" + file):
            return meaning
    return ""


def _is_plumbing(frame: Frame) -> bool:
    return frame.file.startswith("<frozen") or _is_of(frame, PLUMBING)


def _is_of(frame: Frame, files: tuple[str, ...]) -> bool:
    return frame.file.endswith(tuple("/" + name for name in files))


def is_in(frames: tuple[Frame, ...], file: str, *functions: str) -> bool:
    """Whether one of these functions of a file of the standard library is on the stack."""
    return any(one.short_function in functions and one.file.endswith("/" + file) and is_standard(one) for one in frames)
