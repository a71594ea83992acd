"""/proc/PID/net/tcp, udp, raw, unix, netlink and packet (proc(5), Documentation/networking/proc_net_tcp.rst)."""

from __future__ import annotations

import sys

from airmem.model.descriptor import Socket

STATES = (
    "", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK",
    "LISTEN", "CLOSING", "NEW-SYN-RECV",
)  # fmt: skip
"""include/net/tcp_states.h, spelled as ss(8) does."""

TIMERS = ("off", "retransmit", "keepalive", "time-wait", "probe")
"""The `tr` column (net/ipv4/tcp_ipv4.c, get_tcp4_sock)."""

UNIX_STATES = {1: "UNCONN", 2: "SYN-SENT", 3: "ESTAB", 4: "CLOSING"}
"""SS_UNCONNECTED and the following (include/uapi/linux/net.h)."""

UNIX_LISTENS = 0x00010000
"""__SO_ACCEPTCON, in the flags of a unix socket."""

MAPPED_IPV4 = bytes(10) + b"\xff\xff"
CLOCK_TICKS = 100
"""Timers are printed in clock_t units: USER_HZ is 100 on every machine Linux has today."""


def parse_inet(raw: bytes, family: str) -> dict[int, Socket]:
    """Return the TCP, UDP or raw sockets of a network namespace by inode; `family` is the file's name.

    Sockets without an inode (TIME-WAIT) belong to nobody and are left out. Lines of another form are skipped.
    """
    found = {}
    for line in raw.split(b"\n")[1:]:
        fields = line.split()
        try:
            inode = int(fields[9])
            if not inode:
                continue
            found[inode] = _inet(inode, family, fields)
        except (ValueError, IndexError):
            continue
    return found


def _inet(inode: int, family: str, fields: list[bytes]) -> Socket:
    local, local_port = _address(fields[1])
    remote, remote_port = _address(fields[2])
    sending, receiving = (int(word, 16) for word in fields[4].split(b":"))
    timer, due = (int(word, 16) for word in fields[5].split(b":"))
    state = int(fields[3], 16)
    return Socket(
        inode=inode,
        family=family,
        local=local,
        remote=remote if remote_port else "",
        local_port_id=local_port,
        remote_port_id=remote_port or None,
        state=STATES[state] if state < len(STATES) else str(state),
        tx_queue_bytes=sending,
        rx_queue_bytes=receiving,
        timer=TIMERS[timer] if timer < len(TIMERS) else str(timer),
        timer_seconds=due / CLOCK_TICKS if timer else None,
        retransmit_count=int(fields[6], 16),
    )


def _address(word: bytes) -> tuple[str, int]:
    """Return (`10.0.0.7:443`, port): each 32-bit word of an address is printed in the machine's byte order."""
    digits, _, port = word.partition(b":")
    number = int(port, 16)
    if len(digits) not in (8, 32):
        raise ValueError
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    packed = b"".join(one.to_bytes(4, sys.byteorder) for one in words)
    if packed.startswith(MAPPED_IPV4):
        packed = packed[12:]
    if len(packed) == 4:
        return f"{'.'.join(map(str, packed))}:{number}", number
    return f"[{_ipv6(packed)}]:{number}", number


def _ipv6(packed: bytes) -> str:
    """Return an IPv6 address in short form (RFC 5952): the first of the longest runs of zero groups becomes `::`."""
    groups = [f"{int.from_bytes(packed[at : at + 2], 'big'):x}" for at in range(0, 16, 2)]
    best, length = 0, 1
    for first in range(8):
        run = next((count for count in range(8 - first) if groups[first + count] != "0"), 8 - first)
        if run > length:
            best, length = first, run
    if length < 2:
        return ":".join(groups)
    return ":".join(groups[:best]) + "::" + ":".join(groups[best + length :])


def parse_messages(raw: bytes, family: str) -> dict[int, Socket]:
    """Return the netlink or packet sockets of a network namespace by inode, the last column; others are skipped.

    They have no other end: the kernel writes to them, or whatever comes in on an interface.
    """
    lines = raw.split(b"\n")[1:]
    inodes = [int(fields[-1]) for line in lines if (fields := line.split()) and fields[-1].isdigit()]
    return {one: _unconnected(one, family, "", "UNCONN") for one in inodes if one}


def _unconnected(inode: int, family: str, local: str, state: str) -> Socket:
    return Socket(
        inode=inode,
        family=family,
        local=local,
        remote="",
        local_port_id=None,
        remote_port_id=None,
        state=state,
        tx_queue_bytes=0,
        rx_queue_bytes=0,
        timer="off",
        timer_seconds=None,
        retransmit_count=0,
    )


def parse_unix(raw: bytes) -> dict[int, Socket]:
    """Return the unix sockets of a network namespace by inode, without their peers; other lines are skipped."""
    found = {}
    for line in raw.split(b"\n")[1:]:
        fields = line.split(None, 7)
        try:
            inode, flags, state = int(fields[6]), int(fields[3], 16), int(fields[5], 16)
        except (ValueError, IndexError):
            continue
        local = fields[7].decode(errors="surrogateescape") if len(fields) > 7 else ""
        shown = "LISTEN" if flags & UNIX_LISTENS else UNIX_STATES.get(state, str(state))
        found[inode] = _unconnected(inode, "unix", local, shown)
    return found
