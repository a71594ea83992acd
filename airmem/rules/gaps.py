"""What to do about each reason for which something could not be read; where the place is known, rules/remedies.py."""

from __future__ import annotations

from airmem.model.noun import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from airmem.model.environment import Identity, Place
    from airmem.model.gap import Gap

AS_ROOT = "Run airmem as root outside the container, or in an ephemeral container with root and SYS_PTRACE"
REMEDIES = {
    "other_user": "Run airmem as that user (sudo -u '#UID' airmem ..., docker exec -u UID, kubectl exec enters as it),"
    " or as root with CAP_SYS_PTRACE",
    "other_group": "Run airmem with the same group: setpriv --regid GID --clear-groups airmem ...",
    "not_dumpable": f"{AS_ROOT} (kubectl debug --profile=general); the same uid is not enough",
    "more_capabilities": "Start airmem with the same capabilities as the process, or as root with CAP_SYS_PTRACE",
    "user_namespace": "Run airmem outside this user namespace, as root",
    "security_module": f"{AS_ROOT}, in the process's own user namespace; AppArmor must allow ptrace (readby, tracedby)",
    "denied": AS_ROOT,
    "hidepid": "Run airmem as root, or as a member of the group that the gid= option of /proc's mount names",
    "yama": "Run airmem as root with CAP_SYS_PTRACE; in a container that does not run as root adding the capability"
    " does nothing; in Kubernetes kubectl debug --profile=general makes a container that has it",
    "stack_timeout": "Nothing to do: what /proc tells of the process is in the answer",
    "no_python_stack": "Run the command again; if it persists, pip install --upgrade py-spy",
    "no_pyspy": "pip install py-spy",
    "deadline": "Give more time: --deadline SECONDS",
    "no_answer": "Nothing to do: the process is stuck inside the kernel and holds what this read needs",
    "network_namespace": "Run airmem as root with CAP_SYS_ADMIN, or inside the container of the process",
    "zombie": "Its parent must wait for it; it costs a pid, not memory",
    "first_thread_ended": "Run the command again: then another of its threads is asked",
    "kernel_thread": "Ask for a process of user space instead",
    "same_memory": "Nothing to do: it lasts until the child calls exec",
    "no_process": "List what runs here with: airmem ps",
    "gone": "Run the command again: the tree changed while it was read",
    "no_smaps_rollup": "Nothing to do: the sums are at most 1 KiB a mapping too low; Linux 4.14 and later are exact",
    "gvisor": "Ask the host: the sandbox's own memory shows in the control group, not in its processes",
    "no_page_frames": "For exact sharing run airmem as root on the host, or in a privileged container",
    "no_numpy": "pip install numpy",
    "little_memory": "Give airmem more memory (ulimit -v, the limit of its container)",
    "max_bytes": "Allow more than the parent's anonymous memory (INHERITED), or leave --max-bytes away",
    "not_cpython": "Pages are told all the same; objects and causes need CPython 3.10 or later, 64-bit, with a GIL",
    "too_large": "Ask for it with --depth pages, at an hour when a stall of some 30 ms for each GiB is harmless",
    "no_such_role": "Give one of them to --role",
    "changing": "Ask again when the process is quieter; the other figures are not affected",
    "page_table_unreadable": f"{AS_ROOT}",
    "no_kpagecount": "Run airmem as root: /proc/kpagecount tells how often a page is mapped in the whole system",
    "bound_precondition": f"{AS_ROOT}, to read the processes themselves",
    "cgroup_not_mounted": "Mount /sys/fs/cgroup of the host where airmem runs (read-only is enough)",
    "no_memory_controller": "Enable it in the parent group: echo +memory > cgroup.subtree_control",
    "root_cgroup": "Start the service in a control group of its own (a systemd unit, a container)",
    "no_memory_cgroup": "Start the service in a control group of its own (a systemd unit, a container)",
    "cgroup_unreadable": "Run airmem as root",
    "capture_incomplete": "Make the capture again; a full disk or a lost connection cuts it",
    "not_captured": "Make the capture with it: airmem capture TARGET -o FILE, as root on the host for page tables",
    "no_contents": "Make the capture with them: airmem capture TARGET --contents -o FILE",
    "not_in_format": "airmem capture TARGET -o FILE keeps all; of plain files /proc/PID/smaps tells most",
    "file_cut": "Save the file again, whole",
    "no_totals": "Save it again: pmap without -q, or better cat /proc/PID/smaps > FILE",
    "other_version": "Read it with the Python that was traced: airmem analyze --python /path/to/python FILE",
    "damaged": "Copy the file again, whole",
    "no_capture": "Give files that memray wrote",
    "aggregated": "Trace without --aggregate",
    "churn_not_read": "Ask for it with --churn, where there is memory for it",
    "no_bytecode": "Compile them as the service's user: python -m compileall FOLDER; then ask again",
    "imported_in_thread": "Nothing to do: the sums hold; to tell them apart, import them before the others",
    "huge_pages": "Ask where /sys/kernel/mm/transparent_hugepage/enabled is madvise; here judge by the sums",
    "rss_counters": "Judge by walked_growth_bytes of the JSON answer: some kernels sum their counters up late",
    "not_verifiable": "Make its import lazy in a copy of the code, and measure that",
    "malformed": "Please report this with the output of: airmem --version; uname -r",
    "unreadable": "Run the command again; if it persists, please report it",
}


REFUSALS = frozenset(
    {"other_user", "other_group", "not_dumpable", "more_capabilities", "user_namespace", "security_module", "denied"}
)
"""Reasons that are refusals of the kernel, which `airmem doctor` explains."""

DENIED = REFUSALS | {"hidepid"}
UNMEASURABLE = frozenset({"zombie", "kernel_thread", "gvisor", "malformed", "unreadable"})
"""Reasons for which the process that was asked for gives no answer: no right, or nothing to be had (status 4, 5)."""


def advise(
    gaps: tuple[Gap, ...], place: Place | None = None, subjects: Mapping[int, Identity] | None = None, again: str = ""
) -> tuple[Gap, ...]:
    """Return the gaps with the remedy for each one's reason: for this place where it is known, else in general.

    `subjects` are the processes, by pid, as whose user it would help to run the command `again`.
    """
    return tuple(gap if gap.remedy else replace(gap, remedy=_remedy(gap, place, subjects or {}, again)) for gap in gaps)


def _remedy(gap: Gap, place: Place | None, subjects: Mapping[int, Identity], again: str) -> str:
    if place is not None:
        from airmem.rules.remedies import remedy_for  # noqa: PLC0415  # only when something was refused

        subject = subjects.get(gap.pid) if gap.pid is not None else None
        remedy = remedy_for(gap.reason, again, place, subject)
        if remedy is not None:
            return remedy.text
    return REMEDIES[gap.reason]
