"""A system call that a program is not to make: seccomp(2) refuses it, as a kernel that lacks it would.

process_vm_readv(2) pins what it reads. Since Linux 5.19 the kernel gives a process a copy of its own of each page
that is pinned and was shared after a fork, so that who only looks breaks copy-on-write (FAULT_FLAG_UNSHARE): 580 KiB a
worker for one dump of py-spy. Refused, py-spy reads /proc/PID/mem, which pins nothing: 0 KiB, and 12 ms more CPU.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable
from contextlib import suppress

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
"""BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K and BPF_RET|BPF_K (linux/bpf_common.h)."""

NUMBER_AT, ARCHITECTURE_AT = 0, 4
"""Where struct seccomp_data has them (linux/seccomp.h)."""

INSTRUCTION_BYTES = 8
REFUSE, ALLOW = 0x00050000 | errno.ENOSYS, 0x7FFF0000
PROCESS_VM_READV = {"x86_64": (0xC000003E, 310), "aarch64": (0xC00000B7, 270)}
"""Machine -> its AUDIT_ARCH (linux/audit.h) and the number of process_vm_readv there."""


class _Program(ctypes.Structure):
    """struct sock_fprog (linux/filter.h)."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refusing_shared_reads(program: str) -> Callable[[], None] | None:
    """Return what a child does between fork and exec so that `program` cannot call process_vm_readv, or None.

    None where the number is not known, or where the program gains rights by its file, which a process without
    CAP_SYS_ADMIN would give up with the filter. Where the kernel has no filters the child goes on without.
    """
    known = PROCESS_VM_READV.get(os.uname().machine)
    if known is None or _gains_rights(program):
        return None
    instructions = _filter(*known)
    made = _Program(len(instructions) // INSTRUCTION_BYTES, instructions)
    prctl = ctypes.CDLL(None).prctl  # all is made before the fork: little may be done between it and exec

    def refuse() -> None:
        if prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(made), 0, 0):  # needs CAP_SYS_ADMIN, or:
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(made), 0, 0)

    return refuse


def _gains_rights(program: str) -> bool:
    """Whether running a file gives more rights: set-user-id, set-group-id, or capabilities (execve(2))."""
    with suppress(OSError):
        if os.stat(program).st_mode & (stat.S_ISUID | stat.S_ISGID):
            return True
        return bool(os.getxattr(program, "security.capability"))
    return False


def _filter(architecture: int, number: int) -> bytes:
    """Return the filter; an instruction (struct sock_filter) is a code, jumps if true and if false, and an operand."""
    return b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (LOAD, 0, 0, ARCHITECTURE_AT),
            (JUMP_IF_EQUAL, 0, 3, architecture),
            (LOAD, 0, 0, NUMBER_AT),
            (JUMP_IF_EQUAL, 0, 1, number),
            (RETURN, 0, 0, REFUSE),
            (RETURN, 0, 0, ALLOW),
        )
    )
