"""What a thread waits for, as a phrase: "waits in recv on 10.0.0.1:443, no timeout, called from list_pods"."""

from __future__ import annotations

from airmem.analysis.waiting.caller import asker_name
from airmem.units import format_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airmem.analysis.waiting.scene import Thread
    from airmem.model.process import Process
    from airmem.model.service import ServiceRole
    from airmem.model.stack import Frame
    from airmem.model.verdict import Evidence


def describe_who(process: Process, role: ServiceRole | None, thread: Thread) -> str:
    """Return `worker 812`, with the thread's name unless it is the main one."""
    who = f"{role.role if role and role.role != 'parent' else role.component if role else 'process'} {process.pid}"
    return who if thread.is_main else f"thread {thread.label} of {who}"


def describe_wait(category: str, evidence: Evidence, frames: tuple[Frame, ...]) -> str:
    """Return what a thread does, as a phrase with a verb; without the asker where nobody is known."""
    phrase = PHRASES[category](evidence) if category in PHRASES else f"is in {category}"
    asker = asker_name(frames)
    is_quiet = category in ("idle", "stopped", "traced", "frozen", "zombie", "exited", "unreadable", "unknown")
    return f"{phrase}, called from {asker}" if asker and not is_quiet else phrase


def join_words(words: Sequence[str]) -> str:
    """Return `1, 2 and 3`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def _text(evidence: Evidence, key: str, otherwise: str = "?") -> str:
    value = evidence.get(key)
    if isinstance(value, list | tuple):
        return join_words([str(one) for one in value[:4]]) or otherwise
    return otherwise if value is None else str(value)


def _timeout(evidence: Evidence) -> str:
    value = evidence.get("timeout_s")
    return f", timeout {format_seconds(float(value))}" if isinstance(value, int | float) else ", no timeout"


def _socket(verb: str) -> Callable[[Evidence], str]:
    def phrase(evidence: Evidence) -> str:
        tls = " over TLS" if evidence.get("tls") else ""
        peer = f" (process {evidence['peer_pid']})" if evidence.get("peer_pid") else ""
        call = "send" if "unacknowledged_bytes" in evidence else verb
        where = _text(evidence, "remote", _text(evidence, "path", "a socket"))
        return f"waits in {call} on {where}{peer}{tls}{_timeout(evidence)}"

    return phrase


def _pipe(verb: str, thing: str, other: str) -> Callable[[Evidence], str]:
    def phrase(evidence: Evidence) -> str:
        if evidence.get("path") and not evidence.get("peer_pid"):
            return f"waits to {verb} the named pipe {evidence['path']}, whose other end nobody is seen to have open"
        if evidence.get("nobody_left"):
            return f"waits to {verb} {thing} whose other end only it has open itself"
        peer = f"is process {evidence['peer_pid']}" if evidence.get("peer_pid") else "is not seen"
        return f"waits to {verb} {thing}; {other} {peer}"

    return phrase


def _lock(evidence: Evidence, key: str = "lock") -> str:
    """Return `the lock NAME`, or `a lock` where the code gives it no name that is known."""
    return f"the lock {evidence[key]}" if evidence.get(key) else "a lock"


def _holder(evidence: Evidence) -> str:
    if evidence.get("holder") == "dead":
        return "whose holder is dead"
    frame = f" in {evidence['holder_frame']}" if evidence.get("holder_frame") else ""
    where = f" of process {evidence['holder_pid']}" if evidence.get("holder_pid") else ""
    return f"held by {evidence['holder']}{where}{frame}" if evidence.get("holder") else "whose holder is not known"


def _database(evidence: Evidence) -> str:
    where = _text(evidence, "path" if evidence.get("path") else "remote", "?")
    holder = f", locked by process {evidence['holder_pid']}" if evidence.get("holder_pid") else ""
    return f"waits for the database {_text(evidence, 'db')} at {where}{holder}"


def _cycle(evidence: Evidence) -> str:
    if evidence.get("semlock"):
        return f"waits for {_lock(evidence, 'semlock')} between processes, {_holder(evidence)}"
    return f"waits for process {_text(evidence, 'peer_pid')}, which waits for it"


def _self_deadlock(evidence: Evidence) -> str:
    collector = ", from a finalizer" if evidence.get("gc") else ""
    frame = _text(evidence, "holder_frame")
    return f"takes {_lock(evidence)} that it holds itself since {frame}{collector}"


def _fork_lock(evidence: Evidence) -> str:
    holder = evidence.get("holder_in_parent")
    who = f"thread {holder} of its parent" if holder else "a thread of its parent"
    return f"waits for {_lock(evidence)} that {who} held when it was forked"


def _starved(evidence: Evidence) -> str:
    task, coroutine = _text(evidence, "task"), _text(evidence, "coroutine")
    return f"has an event loop that nothing can wake; task {task} waits in {coroutine}"


def _blocked(evidence: Evidence) -> str:
    by = str(evidence.get("blocked_by"))
    why = PHRASES[by](evidence) if by in PHRASES else f"is in {by}"
    return f"blocks its event loop in {_text(evidence, 'coroutine')}: it {why}"


def _child(evidence: Evidence) -> str:
    if evidence.get("peer_pid"):
        return f"waits for the end of what process {evidence['peer_pid']}, which is no child of it, may still write"
    return f"waits for child process {_text(evidence, 'child', _text(evidence, 'waits_for'))} to end"


def _future(evidence: Evidence) -> str:
    if evidence.get("nobody_left"):
        return f"waits for {_text(evidence, 'waits_for', 'a future, and nobody is left to set it')}"
    return "waits for a future" + (f" that {evidence['waits_for']} works on" if evidence.get("waits_for") else "")


def _sleep(evidence: Evidence) -> str:
    seconds = evidence.get("seconds")
    return f"sleeps for {format_seconds(float(seconds))} more" if isinstance(seconds, int | float) else "sleeps"


def _file_system(evidence: Evidence) -> str:
    return f"waits for the {_text(evidence, 'fstype')} file system at {_text(evidence, 'mount')}"


PHRASES: dict[str, Callable[[Evidence], str]] = {
    "exited": lambda _: "has ended its first thread; others run on",
    "socket_recv": _socket("recv"),
    "socket_connect": _socket("connect"),
    "unix_recv": _pipe("receive from", "a unix socket", "the other end"),
    "pipe_read": _pipe("read from", "a pipe", "the writer"),
    "pipe_write": _pipe("write into", "a full pipe", "the reader"),
    "file_lock": lambda one: f"waits for a lock on {_text(one, 'path')}, held by process {_text(one, 'holder_pid')}",
    "db_wait": _database,
    "lock_wait": lambda one: f"waits for {_lock(one)}, {_holder(one)}",
    "lock_deadlock": lambda one: f"waits for {_lock(one)}, {_holder(one)}, which waits for it",
    "self_deadlock": _self_deadlock,
    "fork_lock": _fork_lock,
    "import_lock": lambda one: f"waits to import {_text(one, 'module')}, {_holder(one)}",
    "mp_lock_wait": lambda one: f"waits for {_lock(one, 'semlock')} between processes, {_holder(one)}",
    "mp_lock_orphaned": lambda one: f"waits for {_lock(one, 'semlock')} between processes, whose holder is dead",
    "ipc_cycle": _cycle,
    "queue_wait": lambda one: (
        "waits for a queue" + (", and nobody is left to fill it" if one.get("nobody_left") else "")
    ),
    "cond_wait": lambda one: (
        "waits for a condition" + (", and nobody is left to notify" if one.get("nobody_left") else "")
    ),
    "event_wait": lambda _: "waits for an event",
    "future_wait": _future,
    "pool_exhausted": lambda _: "waits in a pool's worker for work queued behind it: every worker does",
    "join_wait": lambda one: f"waits for thread {_text(one, 'waits_for')} to end",
    "child_wait": _child,
    "shutdown_wait": lambda one: f"is ending and waits for thread {_text(one, 'waits_for')}",
    "asyncio_blocked": _blocked,
    "asyncio_starved": _starved,
    "cpu_python": lambda _: "turns in a circle in Python",
    "cpu_native": lambda _: "computes in C code",
    "cpu_native_gil": lambda _: "computes in C code and keeps the GIL",
    "gil_wait": lambda one: f"waits for the GIL, {_holder(one)}",
    "gil_held_blocked": lambda one: f"sleeps in {_text(one, 'system_call')} and keeps the GIL",
    "sleep": _sleep,
    "stopped": lambda _: "is stopped by a signal",
    "traced": lambda one: f"is held by the debugger {_text(one, 'tracer')}",
    "frozen": lambda one: f"is frozen by its control group {_text(one, 'cgroup')}",
    "dstate": lambda one: f"is in an uninterruptible sleep ({_text(one, 'reason')})",
    "fs_hang": _file_system,
    "memory_stall": lambda one: f"is held up for memory by its control group {_text(one, 'cgroup')}",
    "idle": lambda one: f"is idle: {_text(one, 'mechanism', _text(one, 'waits_for', 'by design'))}",
    "running": lambda _: "is running",
    "unreadable": lambda one: "cannot be read" + (f" (state {one['state']})" if one.get("state") else ""),
    "unknown": lambda one: f"waits in {_text(one, 'reason', 'a system call')}, for what is not known",
}
