"""Why the stacks of a process cannot be read: found in /proc, since py-spy's own messages name wrong causes."""

from __future__ import annotations

from contextlib import suppress

from airmem.collect.access import explain_denial
from airmem.collect.place import collect_identity, read_or_empty
from airmem.collect.processes import own_process_id
from airmem.errors import Malformed
from airmem.kernel.stat import parse_stat
from airmem.model.capability import SYS_PTRACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import ProcessFiles, Source

REFUSED_BY_YAMA = {1: "only descendants may be traced", 2: "only CAP_SYS_PTRACE may trace", 3: "nobody may trace"}
"""/proc/sys/kernel/yama/ptrace_scope (Documentation/admin-guide/LSM/Yama.rst)."""


def explain_attach(reader: Source, pid: int) -> tuple[str, str] | None:
    """Return (reason, detail) for stacks that cannot be read, None where nothing is in the way.

    Reading another process's memory needs what ptrace(2) calls PTRACE_MODE_ATTACH. /proc/PID/syscall needs the same
    and disturbs nobody, so that it is tried instead of py-spy.
    """
    try:
        with reader.process(pid) as files:
            process = parse_stat(files.read("stat"))
            if process.is_zombie:
                return "zombie", f"process {pid} has ended"
            if process.has_lost_first:
                detail = f"the first thread of process {pid} has ended, and its memory is no longer to be found there"
                return "first_thread_ended", detail
            return _try(reader, files, pid)
    except (FileNotFoundError, ProcessLookupError):
        return "gone", f"process {pid} has ended"
    except PermissionError:
        return explain_denial(reader, pid)
    except (OSError, Malformed) as problem:
        return "unreadable", f"process {pid}: {problem}"


def _try(reader: Source, files: ProcessFiles, pid: int) -> tuple[str, str] | None:
    try:
        files.read("syscall")
    except PermissionError:
        return _explain_refusal(reader, files, pid)
    except FileNotFoundError:  # the kernel was built without it: py-spy itself must try
        return None
    return None


def _explain_refusal(reader: Source, files: ProcessFiles, pid: int) -> tuple[str, str]:
    """Return (reason, detail) for a refused ATTACH: identities, where even READ is refused, else Yama or a module."""
    scope = yama_scope(reader)
    limits = f"Yama's ptrace_scope is {scope} on this machine: {REFUSED_BY_YAMA.get(scope, 'tracing is restricted')}"
    try:
        files.link("exe")
    except OSError:
        reason, detail = explain_denial(reader, pid)
        if scope and reason in ("other_user", "other_group"):  # becoming that user would not do
            return "yama", f"{detail}; besides, {limits}"
        return reason, detail
    if scope:
        return "yama", f"{limits}, so that the stacks of process {pid} are hidden even from its own user"
    with suppress(OSError, ValueError):
        own = collect_identity(reader, own_process_id(reader) or 0)
        if not own.may(SYS_PTRACE):
            return explain_denial(reader, pid)
    return "security_module", (
        f"process {pid} may be read but not traced: a security module (AppArmor, SELinux, Landlock) forbids it"
    )


def yama_scope(reader: Source) -> int:
    """Return Yama's ptrace_scope, 0 where there is none."""
    raw = read_or_empty(reader, "/proc/sys/kernel/yama/ptrace_scope").strip()
    return int(raw) if raw.isdigit() and len(raw) < 3 else 0


def explain_failure(reader: Source, pid: int, timed_out: bool, seconds: float) -> tuple[str, str]:
    """Return (reason, detail) for a py-spy that was allowed to look and came back without stacks."""
    if timed_out:
        return "stack_timeout", f"py-spy gave no answer about process {pid} within {seconds:.1f} s"
    if (obstacle := explain_attach(reader, pid)) is not None:
        return obstacle
    return "no_python_stack", (
        f"py-spy finds no Python stack in process {pid}: it starts or ends just now, its memory cannot be paged in, or"
        " its Python is one that this py-spy does not know"
    )
