"""What a thread waits on: from the descriptors in its system call to sockets, pipes and who has their other ends."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.model.descriptor import Descriptor, Socket
    from airmem.model.verdict import Evidence

READS = frozenset({"read", "readv", "pread64", "recvfrom", "recvmsg", "recvmmsg", "preadv", "preadv2", "splice"})
WRITES = frozenset({"write", "writev", "pwrite64", "sendto", "sendmsg", "sendmmsg", "pwritev", "sendfile"})
POLLS = frozenset({"poll", "ppoll"})
SELECTS = frozenset({"select", "pselect6"})
EPOLLS = frozenset({"epoll_wait", "epoll_pwait", "epoll_pwait2"})
POLLIN_EVENTS = 0x0001 | 0x0002 | 0x0040
POLLOUT_EVENTS = 0x0004 | 0x0100
MOST_POLLED = 1024
PIPE_FUNCTION = "pipe_"
"""Kernel functions that wait for a pipe: pipe_read, anon_pipe_write, fifo_pipe_read (fs/pipe.c)."""
STATE_NAMES = {"ESTAB": "ESTABLISHED"}
"""What the kernel calls the states that ss(8) abbreviates; the others differ by their hyphens only."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Endpoint:
    """One thing that is waited on: `kind` is tcp, udp, unix, pipe, file, event, eventfd, terminal, pidfd or unknown.

    `is_read` tells the direction. `peers` are the pids at the other end without the waiter itself, parent and children
    first; `has_own_end` tells that the waiter holds the other end, too. `is_listening` is a socket that accepts.
    """

    number: int
    kind: str
    is_read: bool
    descriptor: Descriptor | None
    socket: Socket | None
    peers: tuple[int, ...]
    has_own_end: bool
    is_listening: bool


def waited_endpoints(scene: Scene, thread: Thread) -> list[Endpoint] | None:
    """Return what a thread's system call waits on; None where the call names no descriptors or they are unreadable."""
    name, words = thread.call_name, thread.arguments
    found: list[Endpoint] | None = None
    if name in READS or name in WRITES:
        found = [endpoint_of(scene, thread.pid, words[0] & 0xFFFFFFFF, name in READS)]
    elif name in POLLS:
        found = _polled(scene, thread.pid, words[0], words[1])
    elif name in SELECTS:
        found = _selected(scene, thread.pid, words)
    elif name in EPOLLS:
        found = watched_endpoints(scene, thread.pid, words[0] & 0xFFFFFFFF)
    return None if found is None else [_as_named_pipe(scene, thread, one) for one in found]


def watched_endpoints(scene: Scene, pid: int, number: int) -> list[Endpoint] | None:
    """Return what an epoll set watches, None where that cannot be read."""
    descriptor = scene.descriptor(pid, number)
    if descriptor is None or descriptor.watched is None:
        return None
    return [endpoint_of(scene, pid, one, True) for one in descriptor.watched]


def endpoint_of(scene: Scene, pid: int, number: int, is_read: bool) -> Endpoint:
    """Return what lies behind one descriptor of a process."""
    descriptor = scene.descriptor(pid, number)
    socket = scene.socket(descriptor)
    kind = _kind(descriptor, socket)
    found: list[int] = []
    if socket is not None:
        found = scene.peers(socket)
    elif kind == "pipe" and descriptor is not None:
        found = scene.users(descriptor.inode, "w" if is_read else "r")
    return Endpoint(
        number=number,
        kind=kind,
        is_read=is_read,
        descriptor=descriptor,
        socket=socket,
        peers=tuple(sorted((one for one in found if one != pid), key=lambda one: _nearness(scene, pid, one))),
        has_own_end=pid in found,
        is_listening=socket is not None and _listens(socket),
    )


def _as_named_pipe(scene: Scene, thread: Thread, endpoint: Endpoint) -> Endpoint:
    """Return a path that a thread waits on as the pipe that it is: a file is always ready (poll(2)), a pipe is not."""
    descriptor = endpoint.descriptor
    is_asked = thread.call_name in POLLS | SELECTS or PIPE_FUNCTION in thread.task.wait_channel
    if descriptor is None or endpoint.kind != "file" or not is_asked or descriptor.link.startswith("/dev/"):
        return endpoint
    found = scene.openers(descriptor, "w" if endpoint.is_read else "r")
    others = tuple(
        sorted((one for one in found if one != thread.pid), key=lambda one: _nearness(scene, thread.pid, one))
    )
    return replace(endpoint, kind="pipe", peers=others, has_own_end=thread.pid in found)


def wakes_itself(thread: Thread, endpoint: Endpoint) -> bool:
    """Whether this is a pipe or socket pair by which a program wakes itself, from a signal handler or another thread.

    Its own process has the other end, which does not block, since a signal handler must not (signal.set_wakeup_fd).
    """
    if endpoint.peers or not endpoint.has_own_end or not endpoint.is_read:
        return False
    inode = endpoint.descriptor.inode if endpoint.descriptor else None
    if endpoint.socket is not None:
        inode = endpoint.socket.peer_inode
    ends = [one for one in (thread.process.descriptors or {}).values() if one.inode == inode and "w" in one.access]
    return any(one.is_nonblocking for one in ends)


def socket_evidence(endpoint: Endpoint) -> Evidence:
    """Return what is known of a socket: remote, port, state, peer on this machine."""
    socket = endpoint.socket
    evidence: Evidence = {}
    if socket is None:
        return evidence
    if socket.family != "unix":
        evidence["remote"] = socket.remote or None
        evidence["remote_port"] = socket.remote_port_id
        if socket.family.startswith("tcp"):
            evidence["tcp_state"] = STATE_NAMES.get(socket.state, socket.state.replace("-", "_"))
    evidence["peer_pid"] = endpoint.peers[0] if endpoint.peers else None
    return evidence


def _kind(descriptor: Descriptor | None, socket: Socket | None) -> str:
    if socket is not None:
        return socket.family.removesuffix("6")
    if descriptor is None:
        return "unknown"
    link = descriptor.link
    if link.startswith("pipe:"):
        return "pipe"
    if link.startswith("anon_inode:"):
        return next((kind for kind in ("pidfd", "eventfd") if kind in link), "event")
    if link.startswith("/"):
        return "terminal" if link.startswith(("/dev/pts/", "/dev/tty", "/dev/console")) else "file"
    return "unknown"


def _listens(socket: Socket) -> bool:
    """Whether new work comes in here: a listener, or a socket that takes messages from anybody, or from the kernel."""
    if socket.state == "LISTEN" or socket.family in ("netlink", "packet"):
        return True
    if socket.family == "unix":
        return socket.state == "UNCONN" and bool(socket.local) and not socket.peer_inode
    return socket.family.startswith(("udp", "raw")) and not socket.remote and bool(socket.local_port_id)


def _nearness(scene: Scene, pid: int, other: int) -> tuple[int, int]:
    processes = scene.snapshot.processes
    if other in processes and processes[other].process.parent_pid == pid:
        return 0, other
    if pid in processes and processes[pid].process.parent_pid == other:
        return 1, other
    return (2 if other in processes else 3), other


def _polled(scene: Scene, pid: int, address: int, count: int) -> list[Endpoint] | None:
    """Return the entries of a struct pollfd array: descriptor, asked events, answered events."""
    count = min(count & 0xFFFFFFFF, MOST_POLLED)
    raw = scene.read(pid, address, 8 * count) if count else b""
    if raw is None:
        return None
    found = []
    for number, events, _ in struct.iter_unpack("<ihh", raw):
        if number >= 0:
            is_write = bool(events & POLLOUT_EVENTS) and not events & POLLIN_EVENTS
            found.append(endpoint_of(scene, pid, number, not is_write))
    return found


def _selected(scene: Scene, pid: int, words: tuple[int, ...]) -> list[Endpoint] | None:
    """Return the descriptors in the read and write sets of select(2)."""
    found = []
    for address, is_read in ((words[1], True), (words[2], False)):
        size = (min(words[0] & 0xFFFFFFFF, MOST_POLLED) + 63) // 64 * 8
        raw = scene.read(pid, address, size) if address and size else b""
        if raw is None:
            return None
        bits = int.from_bytes(raw, "little")
        found += [
            endpoint_of(scene, pid, number, is_read) for number in range(words[0] & 0xFFFFFFFF) if bits >> number & 1
        ]
    return found
