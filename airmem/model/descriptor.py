"""What processes have open, and who has the other end."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class HeldLock:
    """A `lock:` line of fdinfo, or a line of /proc/locks: a lock on a file, or somebody who waits for one.

    `kind` is FLOCK, POSIX, OFDLCK or LEASE; `mode` READ or WRITE. `owner_pid` is the process that made it, -1 for
    OFDLCK, 0 for one outside this pid namespace. Who waits has the `number_id` of the lock in the way. `device` is
    `major:minor` as the kernel prints it, `fe:00`. The range is in bytes; `end_bytes` None for the end of the file.
    """

    number_id: int
    kind: str
    mode: str
    owner_pid: int
    device: str
    inode: int
    start_bytes: int
    end_bytes: int | None
    is_waiting: bool


@noun
class Descriptor:
    """An open file descriptor of a process: where its link points (`socket:[7]`, `pipe:[8]`, a path) and its fdinfo.

    `inode` is that of the socket, pipe or file, `device` of a file `major:minor` as /proc/locks prints it; None where
    unknown. `access` is r, w or rw, empty where fdinfo cannot be read. `position_bytes` in the file. `watched` are the
    descriptors that an epoll set watches (`tfd:`), None for what is no epoll set. `locks` are those on this file
    description (flock, open file description locks). `process_id` is the process that a pidfd means.
    """

    number_id: int
    link: str
    inode: int | None
    device: str | None
    access: str
    is_nonblocking: bool | None
    position_bytes: int | None
    watched: tuple[int, ...] | None
    locks: tuple[HeldLock, ...]
    process_id: int | None = None


@noun
class Holder:
    """A process that has one end of a pipe or socket open; `access` as in Descriptor (`rw` for sockets)."""

    pid: int
    number_id: int
    access: str


@noun
class Socket:
    """A socket by its inode number, which no two have whatever their network namespaces.

    `family` is tcp, tcp6, udp, udp6, raw, raw6, unix, netlink or packet. `local` and `remote` are `10.0.0.7:443` or
    `[fe80::1]:443` (IPv4 in IPv6 as IPv4), for unix the path (`@name` is abstract), empty where there is none;
    ports are None for unix. `state` as ss names it: ESTAB, SYN-SENT, CLOSE-WAIT, LISTEN, UNCONN. Queues are in
    bytes: `tx_queue_bytes` not acknowledged, `rx_queue_bytes` not read, for a listener connections not accepted.
    `timer` is off, retransmit, keepalive, time-wait or probe, due in `timer_seconds`. `peer_inode` is the other end
    of a unix socket, None where it is unknown.
    """

    inode: int
    family: str
    local: str
    remote: str
    local_port_id: int | None
    remote_port_id: int | None
    state: str
    tx_queue_bytes: int
    rx_queue_bytes: int
    timer: str
    timer_seconds: float | None
    retransmit_count: int
    peer_inode: int | None = None
