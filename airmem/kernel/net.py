"""/proc/PID/net/tcp and tcp6 (proc(5), Documentation/networking/proc_net_tcp.rst), and links of sockets."""

from __future__ import annotations

LISTEN = b"0A"


def parse_listeners(raw: bytes) -> dict[int, int]:
    """Return the port of each listening TCP socket of a network namespace, by the socket's inode number.

    Lines of another form are skipped.
    """
    ports = {}
    for line in raw.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTEN and fields[9].isdigit():
            try:
                ports[int(fields[9])] = int(fields[1].rpartition(b":")[2], 16)
            except ValueError:
                continue
    return ports


def parse_socket_link(link: str) -> int | None:
    """Return the inode number of a socket from the link of its file descriptor, `socket:[123]`; None for others."""
    number = link.removeprefix("socket:[").removesuffix("]")
    return int(number) if number.isascii() and number.isdigit() and link.startswith("socket:[") else None
