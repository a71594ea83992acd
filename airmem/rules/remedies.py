"""What helps against a refusal, in the place where it happened, as a line to copy.

One rule stands behind each: either become the target's user (it must be dumpable and hold no capability), or be root
with CAP_SYS_PTRACE; for page frames with CAP_SYS_ADMIN in the first user namespace besides. Where root or a capability
is to be had differs: sudo on a host, `exec --privileged` of a container engine, an ephemeral container of a pod.
"""

from __future__ import annotations

from airmem.model.capability import SETGID, SETUID, SYS_ADMIN, SYS_PTRACE
from airmem.model.remedy import Remedy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from airmem.model.environment import Identity, Place

SUDO = 'sudo env "PATH=$PATH"'
"""sudo's own PATH would not find airmem in a virtual environment."""

IMAGE = "IMAGE-WITH-AIRMEM"
NOTHING_MISSING = (
    "No capability is missing: run it again, and if that does not help ask who set up the security module (dmesg,"
    " ausearch -m avc)"
)

ENGINES = ("docker", "podman")

LASTING_PTRACE = {
    "systemd": "[Service]\nAmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH",
    "host": "[Service]\nUser=root\nCapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH",
    "docker": "services:\n  airmem:\n    pid: service:SERVICE\n    user: root\n    cap_add: [SYS_PTRACE]",
    "podman": "services:\n  airmem:\n    pid: service:SERVICE\n    user: root\n    cap_add: [SYS_PTRACE]",
    "kubernetes": "shareProcessNamespace: true\ncontainers:\n  - name: airmem\n    securityContext:\n"
    "      runAsUser: 0\n      capabilities: {drop: [ALL], add: [SYS_PTRACE]}",
}
"""For those who measure again and again: a unit, a compose service, a second container of the pod."""


def remedy_for(reason: str, again: str, place: Place, subject: Identity | None) -> Remedy | None:
    """Return what helps against a refusal, None if its reason is none of NEEDS.

    `again` is the command to run again; `subject` the process that refuses, None if becoming its user would not do.
    """
    choose = NEEDS.get(reason)
    return None if choose is None else choose(again, place, subject)


def become_user(again: str, place: Place, subject: Identity | None) -> Remedy:
    """Return how to look as the target's own user; as root where that cannot be."""
    if subject is None or subject.is_dumpable is False or len({*subject.user_ids[:3]}) != 1:
        return trace(again, place, subject)
    user_id, group_id = subject.user_id, subject.group_ids[1]
    own = place.identity
    if own.may(SETUID) and own.may(SETGID) and place.has_setpriv:
        line = f"setpriv --reuid {user_id} --regid {group_id} --clear-groups {again}"
        return Remedy(advice="Run airmem as the process's own user", line=line)
    if place.kind in ENGINES:
        line = f"{place.kind} exec -u {user_id}:{group_id} {_name(place)} {again}"
        return Remedy(advice="Run airmem as the process's own user, from outside the container", line=line)
    return trace(again, place, subject)


def trace(again: str, place: Place, subject: Identity | None) -> Remedy:  # noqa: ARG001  # as in NEEDS
    """Return how to look as root with CAP_SYS_PTRACE, which any process of the place yields to."""
    return _as_root(again, place, "general", "CAP_SYS_PTRACE", place.identity.may(SYS_PTRACE))


def trace_and_number(again: str, place: Place, subject: Identity | None) -> Remedy:  # noqa: ARG001
    """Return how to see physical page numbers: as root with CAP_SYS_ADMIN in the first user namespace."""
    if place.is_first_user_namespace is False:
        advice = "Only root of the first user namespace sees page frames. Run airmem on the host, outside this one"
        return Remedy(advice=advice, line=f"{SUDO} {_without_pid(again, place)}")
    has_all = place.identity.may(SYS_PTRACE) and place.identity.may(SYS_ADMIN)
    return _as_root(again, place, "sysadmin", "CAP_SYS_ADMIN and CAP_SYS_PTRACE", has_all)


def leave_namespace(again: str, place: Place, subject: Identity | None) -> Remedy:  # noqa: ARG001
    """Return how to look from outside a user namespace."""
    advice = "Run airmem outside this user namespace, as root"
    return Remedy(advice=advice, line=f"{SUDO} {_without_pid(again, place)}")


def _as_root(again: str, place: Place, profile: str, needed: str, has_all: bool) -> Remedy:
    lasting = LASTING_PTRACE.get(place.kind, "")
    advice = f"Run airmem as root with {needed}"
    if place.kind in ENGINES:
        line = f"{place.kind} exec --privileged -u 0 {_name(place)} {again}"
        return Remedy(advice=f"{advice}, from outside the container", line=line, lasting=lasting)
    if place.kind == "kubernetes":
        line = f"kubectl debug -it {_name(place)} --target=CONTAINER --profile={profile} --image={IMAGE} -- {again}"
        return Remedy(advice=f"{advice}, in an ephemeral container", line=line, lasting=lasting)
    if place.kind == "container":
        advice = "Run airmem as root outside the container, where pids differ; find the process with"
        return Remedy(advice=advice, line=f"{SUDO} airmem ps")
    return _as_root_of_host(again, place.identity, advice, has_all, lasting)


def _as_root_of_host(again: str, own: Identity, advice: str, has_all: bool, lasting: str) -> Remedy:
    if has_all:
        return Remedy(advice=NOTHING_MISSING)
    if own.user_id == 0:
        return Remedy(advice=f"{advice}, from a root shell that has what this one lacks", line=again)
    if own.no_new_privileges:
        return Remedy(advice=f"{advice}, from another shell (sudo has no effect in this one)", line=f"{SUDO} {again}")
    return Remedy(advice=advice, line=f"{SUDO} {again}", lasting=lasting)


def _name(place: Place) -> str:
    """Return the name of a container or a pod for a line that people copy into a shell: a hostname can be any text."""
    is_plain = place.name.replace("-", "").replace(".", "").replace("_", "").isalnum() and place.name.isascii()
    return place.name if is_plain and not place.name.startswith("-") else "NAME"


def _without_pid(again: str, place: Place) -> str:
    """Return a command that fits outside a container, where pids differ."""
    return "airmem ps" if place.kind in (*ENGINES, "kubernetes", "container") else again


NEEDS: dict[str, Callable[[str, Place, Identity | None], Remedy]] = {
    "other_user": become_user,
    "other_group": become_user,
    "not_dumpable": trace,
    "yama": trace,
    "more_capabilities": trace,
    "security_module": trace,
    "denied": trace,
    "hidepid": trace,
    "page_table_unreadable": trace,
    "file_mode": trace,
    "bound_precondition": trace,
    "user_namespace": leave_namespace,
    "no_page_frames": trace_and_number,
    "no_kpagecount": trace_and_number,
}
"""Reason of a gap -> what it takes."""
