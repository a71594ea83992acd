"""Why the kernel refuses a read: derived from who is who, since the tools' own messages mislead.

The rules are those of __ptrace_may_access (kernel/ptrace.c, ptrace(2)): all user and group ids equal, the target
dumpable, and its permitted capabilities among the reader's; or CAP_SYS_PTRACE. Since Linux 6.15 CAP_PERFMON opens
maps, smaps and pagemap as well.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airmem.kernel.status import parse_credentials, parse_status

if TYPE_CHECKING:
    from airmem.kernel.reader import KernelReader
    from airmem.model.credentials import Credentials

SYS_PTRACE = 19
SYS_ADMIN = 21


def collect_credentials(reader: KernelReader, pid: int | str) -> Credentials:
    """Return who a process is. Errors: OSError when it is gone or hidden."""
    path = f"/proc/{pid}"
    with reader.process(int(reader.link("/proc/self")) if pid == "self" else int(pid)) as files:
        return parse_credentials(parse_status(reader.read(f"{path}/status")), files.owner_uid())


def explain_denial(reader: KernelReader, pid: int) -> tuple[str, str]:
    """Return (reason, detail) for a refused read of a process that exists: a word for programs, a line for people."""
    try:
        target, own = collect_credentials(reader, pid), collect_credentials(reader, "self")
    except (OSError, ValueError):
        return "denied", f"the kernel does not let uid {os.geteuid()} read process {pid}"
    own_uid, own_gid = own.user_ids[1], own.group_ids[1]
    if set(target.user_ids[:3]) != {own_uid}:
        return "other_user", (
            f"process {pid} runs as uid {_ids(target.user_ids)}, airmem as uid {own_uid} without CAP_SYS_PTRACE"
        )
    if target.owner_uid != own_uid:
        return "not_dumpable", (
            f"process {pid} runs as the same uid {own_uid} but is not dumpable: it called prctl(PR_SET_DUMPABLE, 0), as"
            " Airflow's task supervisors do since 3.2, or changed its uid after exec, as gunicorn --user does"
        )
    if set(target.group_ids[:3]) != {own_gid}:
        return "other_group", (
            f"process {pid} runs as gid {_ids(target.group_ids)}, airmem as gid {own_gid}; the kernel compares both"
        )
    if target.permitted_capabilities & ~own.permitted_capabilities:
        missing = target.permitted_capabilities & ~own.permitted_capabilities
        return "more_capabilities", f"process {pid} holds capabilities that airmem lacks (mask {missing:#x})"
    return "security_module", (
        f"user, group and capabilities of process {pid} match, so a user namespace, a security module (AppArmor,"
        " SELinux) or its not being dumpable forbids the read"
    )


def _ids(ids: tuple[int, ...]) -> str:
    return "/".join(str(one) for one in dict.fromkeys(ids[:3]))
