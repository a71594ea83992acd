"""Asks the kernel which unix sockets are connected, in any network namespace (sock_diag(7), setns(2))."""

from __future__ import annotations

import ctypes
import os
import socket
from threading import Thread

from airmem.kernel.unix_diag import NETLINK_SOCK_DIAG, is_unix_diag_end, unix_diag_request

CLONE_NEWNET = 0x40000000
BLOCK_BYTES = 1 << 18
PATIENCE_SECONDS = 2.0


def ask_unix_sockets(namespace_file: int | None) -> bytes:
    """Return the kernel's answer about all unix sockets of a network namespace; None is airmem's own.

    A thread that ends at once enters the other namespace, so that airmem itself stays where it is. Errors: OSError;
    EPERM where entering needs CAP_SYS_ADMIN.
    """
    if namespace_file is None:
        return _ask()
    found: list[bytes] = []
    faults: list[OSError] = []

    def enter_and_ask() -> None:
        try:
            _enter(namespace_file)
            found.append(_ask())
        except OSError as problem:
            faults.append(problem)

    thread = Thread(target=enter_and_ask, daemon=True)
    thread.start()
    thread.join()
    if faults:
        raise faults[0]
    return found[0]


def _enter(namespace_file: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace_file, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")


def _ask() -> bytes:
    blocks: list[bytes] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as asking:
        asking.settimeout(PATIENCE_SECONDS)
        asking.send(unix_diag_request())
        while not blocks or not is_unix_diag_end(blocks[-1]):
            blocks.append(asking.recv(BLOCK_BYTES))
    return b"".join(blocks)
