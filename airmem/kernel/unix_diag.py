"""Who is connected to whom through unix sockets: NETLINK_SOCK_DIAG (sock_diag(7)), as `ss -x` asks.

/proc/net/unix does not tell the peer. The answer covers one network namespace: that of the thread which asks.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

NETLINK_SOCK_DIAG = 4
DIAG_BY_FAMILY = 20
REQUEST, DUMP = 0x1, 0x300
AF_UNIX = 1
SHOW_PEER, SHOW_RQLEN = 0x04, 0x10
ATTRIBUTE_PEER, ATTRIBUTE_RQLEN = 2, 4
MESSAGE_ERROR, MESSAGE_DONE = 2, 3
HEADER_BYTES, UNIX_BYTES = 16, 16
"""struct nlmsghdr and struct unix_diag_msg (include/uapi/linux/unix_diag.h)."""


class UnixPeer(NamedTuple):
    """The other end of a unix socket, None if it has none, and the bytes that wait (of a listener, connections)."""

    peer_inode: int | None
    receive_count: int
    send_count: int


def unix_diag_request() -> bytes:
    """Return the message that asks for all unix sockets, their peers and queues."""
    body = struct.pack("=BBHIIIII", AF_UNIX, 0, 0, 0xFFFFFFFF, 0, SHOW_PEER | SHOW_RQLEN, 0xFFFFFFFF, 0xFFFFFFFF)
    return struct.pack("=IHHII", HEADER_BYTES + len(body), DIAG_BY_FAMILY, REQUEST | DUMP, 1, 0) + body


def is_unix_diag_end(raw: bytes) -> bool:
    """Whether one block of an answer holds the message that ends it."""
    return any(kind in (MESSAGE_ERROR, MESSAGE_DONE) for kind, _ in _messages(raw))


def parse_unix_diag(raw: bytes) -> dict[int, UnixPeer]:
    """Return the peers by inode from the blocks of an answer, one after the other; what is damaged ends it."""
    found = {}
    for kind, body in _messages(raw):
        if kind == DIAG_BY_FAMILY and len(body) >= UNIX_BYTES:
            inode = struct.unpack_from("=I", body, 4)[0]
            found[inode] = _peer(body[UNIX_BYTES:])
    return found


def _messages(raw: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + HEADER_BYTES <= len(raw):
        length, kind = struct.unpack_from("=IH", raw, at)
        if length < HEADER_BYTES or at + length > len(raw):
            break
        found.append((kind, raw[at + HEADER_BYTES : at + length]))
        at += (length + 3) & ~3
    return found


def _peer(attributes: bytes) -> UnixPeer:
    peer, receiving, sending, at = None, 0, 0, 0
    while at + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, at)
        if length < 4 or at + length > len(attributes):
            break
        if kind == ATTRIBUTE_PEER and length >= 8:
            peer = struct.unpack_from("=I", attributes, at + 4)[0] or None
        elif kind == ATTRIBUTE_RQLEN and length >= 12:
            receiving, sending = struct.unpack_from("=II", attributes, at + 4)
        at += (length + 3) & ~3
    return UnixPeer(peer, receiving, sending)
