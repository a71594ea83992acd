"""Who has the other end: sockets of the network namespaces, and all processes that hold a pipe or a socket."""

from __future__ import annotations

from contextlib import suppress

from airmem.collect.gaps import gap
from airmem.collect.hang_process import object_inode
from airmem.errors import Malformed
from airmem.kernel.cmdline import READ_BYTES, parse_cmdline
from airmem.kernel.fdinfo import parse_fdinfo
from airmem.kernel.sockets import parse_inet, parse_messages, parse_unix
from airmem.kernel.stat import parse_stat
from airmem.kernel.unix_diag import parse_unix_diag
from airmem.model.descriptor import Holder
from airmem.model.noun import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airmem.collect.hang_source import HangFiles, HangReader
    from airmem.kernel.source import ProcessFiles, Source
    from airmem.model.descriptor import Socket
    from airmem.model.gap import Gap
    from airmem.model.process import Process
    from airmem.model.waiting import HangProcess

INET = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")
MESSAGES = ("netlink", "packet")


def collect_sockets(reader: HangReader, processes: Iterable[HangProcess]) -> tuple[dict[int, Socket], tuple[Gap, ...]]:
    """Return the sockets of every network namespace that a process of the tree is in, by inode.

    Each namespace is read through the first of its processes that lets itself be read.
    """
    found: dict[int, Socket] = {}
    gaps: list[Gap] = []
    done: set[str] = set()
    for one in processes:
        namespace = one.network_namespace
        if namespace in done or one.process.is_zombie or (not namespace and done):
            continue
        with suppress(OSError), reader.process(one.living_pid) as files:
            found.update(_read_inet(files))
            done.add(namespace)
            unix, problem = _read_unix(files)
            found.update(unix)
            if problem:
                gaps.append(gap(one.process.pid, "unix_peers", "network_namespace", problem))
    return found, tuple(gaps)


def _read_inet(files: ProcessFiles) -> dict[int, Socket]:
    found = {}
    for family in INET:
        with suppress(FileNotFoundError):  # a kernel without IPv6
            found.update(parse_inet(files.read(f"net/{family}"), family))
    for family in MESSAGES:
        with suppress(FileNotFoundError):
            found.update(parse_messages(files.read(f"net/{family}"), family))
    return found


def _read_unix(files: HangFiles) -> tuple[dict[int, Socket], str]:
    """Return the unix sockets with their peers, and why the peers are missing."""
    sockets = {}
    with suppress(FileNotFoundError):
        sockets = parse_unix(files.read("net/unix"))
    try:
        peers = parse_unix_diag(files.ask_unix_sockets())
    except OSError as problem:
        return sockets, f"who is at the other end of unix sockets cannot be told: {problem.strerror}"
    found = {}
    for inode, one in sockets.items():
        peer = peers.get(inode)
        if peer is not None:
            one = replace(one, peer_inode=peer.peer_inode, rx_queue_bytes=peer.receive_count)  # noqa: PLW2901
        found[inode] = one
    return found, ""


def tree_holders(processes: Iterable[HangProcess]) -> dict[int, list[Holder]]:
    """Return who in the tree has each pipe and socket open, by inode."""
    holders: dict[int, list[Holder]] = {}
    for one in processes:
        for descriptor in (one.descriptors or {}).values():
            inode = object_inode(descriptor.link)
            if inode is not None:
                holder = Holder(pid=one.process.pid, number_id=descriptor.number_id, access=descriptor.access)
                holders.setdefault(inode, []).append(holder)
    return holders


def wanted_inodes(holders: dict[int, list[Holder]], sockets: dict[int, Socket]) -> set[int]:
    """Return the inodes whose holders outside the tree matter: its pipes and sockets, and their other ends."""
    wanted = set(holders)
    mirrored = {(one.local, one.remote): one.inode for one in sockets.values() if one.remote}
    for inode in holders:
        socket = sockets.get(inode)
        if socket is None:
            continue
        if socket.peer_inode:
            wanted.add(socket.peer_inode)
        if socket.remote and (other := mirrored.get((socket.remote, socket.local))):
            wanted.add(other)
    return wanted


def search_holders(
    reader: Source, wanted: set[int], left_out: set[int], is_late: Callable[[], bool]
) -> tuple[list[list[int | str]], bool]:
    """Return [inode, pid, descriptor, access] of every process outside the tree that holds one of the inodes.

    JSON-ready, so that a record can keep it: what else others have open is nobody's business. The second value tells
    whether the search was given up because it got late. Who cannot be read is passed over.
    """
    found: list[list[int | str]] = []
    for pid in reader.process_ids():
        if is_late():
            return found, True
        if pid not in left_out:
            with suppress(OSError), reader.process(pid) as files:
                found += _held(files, pid, wanted)
    return found, False


def _held(files: ProcessFiles, pid: int, wanted: set[int]) -> list[list[int | str]]:
    found: list[list[int | str]] = []
    for name in files.entries("fd"):
        with suppress(FileNotFoundError):
            inode = object_inode(files.link(f"fd/{name}"))
            if inode in wanted:
                found.append([inode, pid, int(name), parse_fdinfo(files.read(f"fdinfo/{name}")).access])
    return found


def collect_outsiders(reader: Source, pids: Iterable[int]) -> dict[int, Process]:
    """Return the processes outside the tree that hold an end, with their titles."""
    found = {}
    for pid in pids:
        with suppress(OSError, Malformed), reader.process(pid) as files:
            process = parse_stat(files.read("stat"))
            found[pid] = process.with_arguments(parse_cmdline(files.read("cmdline", READ_BYTES)))
    return found
