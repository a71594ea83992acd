"""Why the kernel refuses a read: derived from who is who, since the tools' own messages mislead.

The rules are those of __ptrace_may_access (kernel/ptrace.c, ptrace(2)): all user and group ids equal, the target
dumpable, both in one user namespace, and its permitted capabilities among the reader's; or CAP_SYS_PTRACE in the
target's user namespace. Since Linux 6.15 CAP_PERFMON opens maps, smaps and pagemap as well.
"""

from __future__ import annotations

from airmem.collect.place import FIRST_USER_NAMESPACE, collect_identity, read_link, read_or_empty
from airmem.collect.processes import own_process_id, read_process
from airmem.errors import Malformed, NotMeasurable, NotPermitted, ProcessGone
from airmem.kernel.privileges import parse_is_mapped
from airmem.model.capability import SYS_PTRACE, capability_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import Source
    from airmem.model.environment import Identity
    from airmem.model.gap import Gap
    from airmem.model.process import Process

NOT_DUMPABLE = (
    "it called prctl(PR_SET_DUMPABLE, 0), as Airflow's task supervisors do since 3.2, or changed its uid after exec, as"
    " gunicorn --user does"
)


UNMEASURABLE = ("zombie", "kernel_thread", "no_contents", "page_table_unreadable", "unreadable")
"""Reasons that are no refusal: no right would help."""


def explain_denial(reader: Source, pid: int) -> tuple[str, str]:
    """Return (reason, detail) for a refused read of a process that exists: a word for programs, a line for people."""
    if _is_ending(reader, pid):
        return "gone", f"process {pid} ended while it was read"
    try:
        target, own = collect_identity(reader, pid), collect_identity(reader, own_process_id(reader) or 0)
    except (OSError, ValueError):
        return "denied", f"the kernel does not let uid {reader.own_user_id()} read process {pid}"
    if _is_outside(reader, own, target):
        return "user_namespace", (
            f"process {pid} (uid {_ids(target.user_ids)} as seen from here) belongs to a user namespace outside"
            " airmem's: root of this one is nobody there"
        )
    if own.may(SYS_PTRACE):
        return "security_module", (
            f"airmem has CAP_SYS_PTRACE and is refused process {pid} all the same: a security module (AppArmor,"
            " SELinux, Landlock) forbids it, or the file's mode"
        )
    return explain_identities(pid, own, target)


def _is_ending(reader: Source, pid: int) -> bool:
    """Whether a process has let go of its memory: then the kernel refuses it like one that is not dumpable."""
    try:
        with reader.process(pid) as files:
            return read_process(files, with_arguments=False).is_ending
    except (OSError, Malformed):
        return False


def explain_memory_denial(reader: Source, pid: int) -> tuple[str, str]:
    """Return (reason, detail) for a refused read of what is in a process's memory, for which Yama is asked, too.

    Yama restricts PTRACE_MODE_ATTACH, which /proc/PID/mem needs, and not PTRACE_MODE_READ, which maps needs
    (fs/proc/base.c, security/yama/yama_lsm.c): where maps can be read, it is Yama.
    """
    scope = read_or_empty(reader, "/proc/sys/kernel/yama/ptrace_scope").strip()
    if scope in (b"1", b"2", b"3"):
        try:
            with reader.process(pid) as files:
                files.read("maps")
        except OSError:
            return explain_denial(reader, pid)
        return "yama", (
            f"Yama (kernel.yama.ptrace_scope={scope.decode()}) lets no process read the memory of process {pid}"
            " without CAP_SYS_PTRACE, though the user is the same"
        )
    return explain_denial(reader, pid)


def explain_page_table(reader: Source, process: Process) -> tuple[str, str]:
    """Return (reason, detail) for a page table that could not be read: it has ended by now, or is refused."""
    try:
        with reader.process(process.pid) as files:
            now = read_process(files, with_arguments=False)
            if now.key != process.key or now.is_zombie:
                return "gone", "it ended while the tree was read"
            files.read("maps", 1)
    except PermissionError:
        return explain_denial(reader, process.pid)
    except (FileNotFoundError, ProcessLookupError):
        return "gone", "it ended while the tree was read"
    except (OSError, Malformed) as problem:
        return "page_table_unreadable", f"its page table cannot be read: {problem}"
    return "page_table_unreadable", "its page table was refused, or is too large"


def explain_contents(reader: Source, problem: OSError) -> tuple[str, str]:
    """Return (reason, detail) for page contents that cannot be read although nobody refuses them."""
    detail = f"contents of memory: {problem.strerror}"
    if reader.is_live:
        return "unreadable", detail
    return "no_contents", detail


def error_of(missing: Gap, remedy: str) -> ProcessGone | NotPermitted | NotMeasurable:
    """Return the error that a gap is when it is about the process that was asked for."""
    if missing.reason == "gone":
        return ProcessGone(missing.detail, remedy)
    if missing.reason in UNMEASURABLE:
        return NotMeasurable(missing.detail, remedy)
    return NotPermitted(missing.detail, remedy)


def explain_identities(pid: int, own: Identity, target: Identity) -> tuple[str, str]:
    """Return (reason, detail) from who is who; where several things are in the way, the one hardest to get around."""
    is_same_user = set(target.user_ids[:3]) == {own.user_id}
    who = "runs as the same uid" if is_same_user else f"runs as uid {_ids(target.user_ids)}, airmem as"
    if target.user_id not in (0, target.owner_uid):
        return "not_dumpable", f"process {pid} {who} {own.user_id}, and is not dumpable: {NOT_DUMPABLE}"
    attainable = own.permitted_capabilities if is_same_user else own.bounding_capabilities * (target.user_id == 0)
    missing = target.permitted_capabilities & ~attainable
    if missing and (is_same_user or target.user_id != 0):
        detail = f"process {pid} {who} {own.user_id}, and holds {_list(missing)} which airmem lacks"
        return "more_capabilities", detail
    if not is_same_user:
        return "other_user", (
            f"process {pid} runs as uid {_ids(target.user_ids)}, airmem as uid {own.user_id} without CAP_SYS_PTRACE"
        )
    if set(target.group_ids[:3]) != {own.group_ids[1]}:
        return "other_group", (
            f"process {pid} runs as gid {_ids(target.group_ids)}, airmem as gid {own.group_ids[1]}; the kernel compares"
            " both"
        )
    return "security_module", (
        f"user, group and capabilities of process {pid} match, so a user namespace, a security module (AppArmor,"
        " SELinux) or its not being dumpable forbids the read"
    )


def _is_outside(reader: Source, own: Identity, target: Identity) -> bool:
    """Whether the target is in no user namespace that airmem, in a child namespace, could have power over."""
    if read_link(reader, "/proc/self/ns/user") in ("", FIRST_USER_NAMESPACE):
        return False
    if own.may(SYS_PTRACE):
        return True  # which is power over all processes of this namespace and those below
    overflow = read_or_empty(reader, "/proc/sys/kernel/overflowuid").strip()
    uid_map = read_or_empty(reader, "/proc/self/uid_map")
    is_nobody = overflow.isdigit() and target.user_id == int(overflow) and not parse_is_mapped(uid_map, int(overflow))
    return is_nobody or explain_identities(0, own, target)[0] == "security_module"


def _ids(ids: tuple[int, ...]) -> str:
    return "/".join(str(one) for one in dict.fromkeys(ids[:3]))


def _list(capabilities: int) -> str:
    names = capability_names(capabilities)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
