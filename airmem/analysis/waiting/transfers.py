"""Waits on descriptors: sockets, pipes, children behind them, databases."""

from __future__ import annotations

import math

from airmem.analysis.waiting.caller import is_sql, iterates, sql_call, takes_work_in_loop
from airmem.analysis.waiting.endpoints import endpoint_of, socket_evidence, waited_endpoints, wakes_itself
from airmem.analysis.waiting.files import connect_path, judge_opening, lock_holders
from airmem.analysis.waiting.places import find_place
from airmem.analysis.waiting.timeouts import ABSOLUTE, timeout_of
from airmem.analysis.waiting.waits import handles_signals, wait_of
from airmem.model.verdict import Wait
from airmem.services.databases import find_database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.endpoints import Endpoint
    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.model.verdict import Evidence, Target

ACCEPTS = frozenset({"accept", "accept4"})
COMMUNICATING = frozenset({"communicate", "_communicate"})
SQLITE_LIBRARY = "sqlite3"
STANDARD_INPUT = 0
CONNECTING = "SYN-SENT"


def judge_transfer(scene: Scene, thread: Thread) -> Wait | None:  # one line for each case
    """Return the verdict on a thread that waits for descriptors, None if it waits for something else."""
    if thread.call_name in ACCEPTS:
        endpoint = endpoint_of(scene, thread.pid, thread.arguments[0] & 0xFFFFFFFF, True)
        return _listens(thread, endpoint)
    if thread.call_name == "connect":
        endpoint = endpoint_of(scene, thread.pid, thread.arguments[0] & 0xFFFFFFFF, False)
        return _connects(scene, thread, endpoint)
    endpoints = waited_endpoints(scene, thread)
    if not endpoints:
        return judge_opening(scene, thread)
    listening = next((one for one in endpoints if one.is_listening), None)
    if listening is not None:
        return _listens(thread, listening)
    child = _child(scene, thread, endpoints)
    if child is not None:
        return child
    return judge_endpoints(scene, thread, endpoints)


def judge_sqlite(scene: Scene, thread: Thread) -> Wait | None:
    """SQLite waits for a lock by sleeping in short turns: told by the call, its library and the lock on the file."""
    if not is_sql(scene, thread) or not _maps(thread, SQLITE_LIBRARY):
        return None
    is_absolute = thread.call_name == "clock_nanosleep" and bool(thread.arguments[1] & ABSOLUTE)
    if thread.call_name not in ("nanosleep", "clock_nanosleep") or is_absolute:
        return None  # time.sleep sleeps until a time, or by select; SQLite for a time
    own: tuple[str, int] | None = None
    for descriptor in (thread.process.descriptors or {}).values():
        holders = lock_holders(scene, descriptor, ("POSIX", "OFDLCK")) if descriptor.link.startswith("/") else []
        others = [one for one in holders if one != thread.pid]
        if others:
            return _database_file(thread, descriptor.link, others[0])
        if holders:
            own = (descriptor.link, thread.pid)
    return _database_file(thread, *own) if own else None


def _database_file(thread: Thread, path: str, holder: int) -> Wait:
    path = path.removesuffix("-shm").removesuffix("-wal").removesuffix("-journal")
    evidence: Evidence = {"db": "sqlite", "path": path, "holder_pid": holder}
    needs: tuple[Target, ...] = ((holder, None),) if holder != thread.pid else ()
    return Wait(pid=thread.pid, tid=thread.tid, category="db_wait", evidence=evidence, needs=needs)


def _listens(thread: Thread, endpoint: Endpoint) -> Wait:
    address = (endpoint.socket.local if endpoint.socket else "") or True
    mechanism = "it waits for connections"
    if endpoint.socket is not None and endpoint.socket.state != "LISTEN":
        is_kernel = endpoint.socket.family == "netlink"
        mechanism = "it waits for messages of the kernel" if is_kernel else "it waits for datagrams from anybody"
    return wait_of(thread, "idle", {"listening": address, "mechanism": mechanism}, place=mechanism)


def _connects(scene: Scene, thread: Thread, endpoint: Endpoint) -> Wait:
    evidence = {**socket_evidence(endpoint), **_timeout(scene, thread), "tls": False}
    category = "socket_connect"
    if endpoint.kind == "unix":
        evidence = {"path": connect_path(scene, thread), "peer_pid": endpoint.peers[0] if endpoint.peers else None}
    return wait_of(thread, category, evidence, needs=tuple((one, None) for one in endpoint.peers), needs_all=False)


def _child(scene: Scene, thread: Thread, endpoints: list[Endpoint]) -> Wait | None:
    """subprocess.communicate: the child behind the pipes, and processes that hold them without their parent."""
    if not any(
        one.short_function in COMMUNICATING and one.file.endswith("/subprocess.py") for one in thread.frames[:8]
    ):
        return None
    processes = scene.snapshot.processes
    peers = [pid for one in endpoints for pid in one.peers]
    children = [pid for pid in peers if pid in processes and processes[pid].process.parent_pid == thread.pid]
    unique = list(dict.fromkeys(children or peers))
    evidence: Evidence = {"child": unique[0] if unique else None, **_timeout(scene, thread)}
    if peers and not children:
        evidence["peer_pid"] = peers[0]
    return wait_of(thread, "child_wait", evidence, needs=tuple((one, None) for one in unique), needs_all=False)


def judge_endpoints(scene: Scene, thread: Thread, endpoints: list[Endpoint]) -> Wait:
    """Return the verdict on a thread that waits for any of these."""
    by_design = next((one for one in endpoints if one.kind in ("event", "terminal")), None)
    if by_design is not None:
        return _other(thread, by_design, _timeout(scene, thread))
    first = next((one for one in endpoints if one.kind in ("tcp", "udp", "unix", "pipe")), endpoints[0])
    peers = list(dict.fromkeys(pid for one in endpoints for pid in one.peers))
    needs: tuple[Target, ...] = tuple((one, None) for one in peers)
    database = _database(scene, thread, first)
    if database is not None:
        return database
    timeout = _timeout(scene, thread)
    if first.kind in ("tcp", "udp"):
        category = "socket_connect" if first.socket and first.socket.state == CONNECTING else "socket_recv"
        evidence = {**socket_evidence(first), **timeout, "tls": _is_tls(thread)}
        if not first.is_read and first.socket is not None:
            evidence["unacknowledged_bytes"] = first.socket.tx_queue_bytes
        place = _server_place(scene, thread, first)
        return wait_of(thread, category, evidence, needs=needs, needs_all=False, place=place)
    if first.kind in ("pipe", "unix"):
        return _channel(scene, thread, first, peers, timeout)
    return _other(thread, first, timeout)


def _channel(scene: Scene, thread: Thread, endpoint: Endpoint, peers: list[int], timeout: Evidence) -> Wait:
    """A pipe or a unix socket: whoever has the other end; or this process itself, which nobody else can wake."""
    evidence: Evidence = {"peer_pid": peers[0] if peers else None, **timeout}
    category = "unix_recv" if endpoint.kind == "unix" else "pipe_read" if endpoint.is_read else "pipe_write"
    link = endpoint.descriptor.link if endpoint.descriptor else ""
    if link.startswith("/"):
        evidence["path"] = link
    if wakes_itself(thread, endpoint):
        mechanism = "it waits for a signal or another thread to wake it"
        return wait_of(thread, category, evidence, place=mechanism)
    is_own = not peers and endpoint.has_own_end and not link.startswith("/")
    nobody = is_own and not _has_more_threads(scene, thread) and not handles_signals(thread)
    if nobody:
        evidence |= {"peer_pid": thread.pid, "nobody_left": True, "deadlock": True}
    place = (find_place(thread.frames) if endpoint.is_read else "") or _worker_place(scene, thread, endpoint)
    needs: tuple[Target, ...] = tuple((one, None) for one in peers)
    return wait_of(thread, category, evidence, needs=needs, needs_all=False, place=place, nobody=nobody)


def _other(thread: Thread, endpoint: Endpoint, timeout: Evidence) -> Wait:
    """A process, a terminal, an eventfd, a device: nothing inside the machine is known to end most of them."""
    descriptor = endpoint.descriptor
    link = descriptor.link if descriptor else f"descriptor {endpoint.number}"
    if endpoint.kind == "pidfd" and descriptor is not None and descriptor.process_id:
        needs: tuple[Target, ...] = ((descriptor.process_id, None),)
        place = find_place(thread.frames)
        return wait_of(thread, "child_wait", {"child": descriptor.process_id, **timeout}, needs=needs, place=place)
    if endpoint.kind == "eventfd":
        return wait_of(thread, "event_wait", {"waits_for": link, **timeout}, place=find_place(thread.frames))
    mechanism = {
        "terminal": "it waits for somebody to type",
        "event": f"it waits for {link}",
        "pidfd": "it waits for a process to end",
    }.get(endpoint.kind, "")
    evidence: Evidence = {"waits_for": link, **timeout}
    if mechanism:
        return wait_of(thread, "idle", {**evidence, "mechanism": mechanism}, place=mechanism)
    return wait_of(thread, "unknown", evidence, is_sure=False)


def _worker_place(scene: Scene, thread: Thread, endpoint: Endpoint) -> str:
    """Whether a read of a pipe or socket between processes is a worker's wait for its next piece of work."""
    if not endpoint.is_read or not endpoint.peers:
        return ""
    is_filter = endpoint.number == STANDARD_INPUT and iterates(scene, thread)
    if not is_filter and not takes_work_in_loop(scene, thread):
        return ""
    return "a worker with nothing to do: its loop takes the next piece of work from a pipe or socket"


def _server_place(scene: Scene, thread: Thread, endpoint: Endpoint) -> str:
    """Whether a thread serves a client that is quiet: an accepted connection, while another thread listens."""
    socket = endpoint.socket
    if socket is None or not endpoint.is_read or thread.is_main:
        return ""
    listeners = [
        one.number_id
        for one in (thread.process.descriptors or {}).values()
        if (other := scene.socket(one)) is not None
        and other.state == "LISTEN"
        and other.local_port_id == socket.local_port_id
    ]
    others = [one for one in scene.by_process[thread.pid] if one is not thread]
    accepting = any(
        (one.call_name in ACCEPTS and one.arguments[0] in listeners)
        or any(each.is_listening for each in waited_endpoints(scene, one) or ())
        for one in others
    )
    return "it serves a client that is quiet, while another thread listens" if listeners and accepting else ""


def _database(scene: Scene, thread: Thread, endpoint: Endpoint) -> Wait | None:
    """A socket to a database server, told by the port, the path, the library or the driver on the stack."""
    socket = endpoint.socket
    if socket is None:
        return None
    libraries = {one.name.rpartition("/")[2] for one in thread.process.mappings or () if one.inode}
    path = _unix_path(scene, endpoint)
    found = find_database(
        [one.file for one in thread.frames[:12]], libraries, socket.remote_port_id, path, is_sql(scene, thread)
    )
    if found is None:
        return None
    evidence: Evidence = {"db": found, **socket_evidence(endpoint), **_timeout(scene, thread), "tls": _is_tls(thread)}
    if path:
        evidence["path"] = path
    statement = sql_call(scene, thread)
    if statement:
        evidence["statement"] = statement
    evidence["local_port"] = socket.local_port_id
    return wait_of(thread, "db_wait", evidence, needs=(), needs_all=False)


def _unix_path(scene: Scene, endpoint: Endpoint) -> str:
    socket = endpoint.socket
    if socket is None or socket.family != "unix":
        return ""
    other = scene.snapshot.sockets.get(socket.peer_inode or 0)
    return (other.local if other else "") or socket.local


def _timeout(scene: Scene, thread: Thread) -> Evidence:
    timeout = timeout_of(scene, thread)
    return {"timeout_s": None if timeout is None or timeout == math.inf else round(timeout, 3)}


def _is_tls(thread: Thread) -> bool:
    files = ("/ssl.py", "/OpenSSL/SSL.py", "/urllib3/contrib/pyopenssl.py")
    names = ("do_handshake", "wrap_socket")
    return any(one.file.endswith(files) or one.short_function in names for one in thread.frames[:6])


def _has_more_threads(scene: Scene, thread: Thread) -> bool:
    return len(scene.python_threads(thread.pid)) > 1


def _maps(thread: Thread, word: str) -> bool:
    return any(one.inode and word in one.name.rpartition("/")[2] for one in thread.process.mappings or ())
