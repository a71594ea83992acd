"""What a place allows to measure."""

from __future__ import annotations

from airmem.model.noun import noun
from airmem.model.remedy import Remedy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.finding import Finding
    from airmem.model.gap import Gap
    from airmem.model.process import Process
    from airmem.model.report import Head

NO_REMEDY = Remedy(advice="")
READABLE = "ok"


@noun
class Identity:
    """Who a process is and what it may, from /proc/PID/status and the owner of /proc/PID.

    User and group ids are real, effective, saved, file-system (proc(5)). Capabilities are bit masks.
    """

    user_ids: tuple[int, ...]
    group_ids: tuple[int, ...]
    owner_uid: int
    effective_capabilities: int
    permitted_capabilities: int
    ambient_capabilities: int
    bounding_capabilities: int
    no_new_privileges: bool
    seccomp_mode: int
    namespace_pids: tuple[int, ...]

    def may(self, capability: int) -> bool:
        """Whether the capability with this number is effective."""
        return bool(self.effective_capabilities >> capability & 1)

    @property
    def user_id(self) -> int:
        """The effective user id."""
        return self.user_ids[1]

    @property
    def is_dumpable(self) -> bool | None:
        """Whether the process may be read by its own user; None for root's, where the folder's owner tells nothing."""
        return None if self.user_id == 0 else self.owner_uid == self.user_id


@noun
class Place:
    """Where airmem runs: what it takes to choose a remedy.

    `kind` is host, systemd (a unit of its own), docker, podman, kubernetes or container (another engine). `name` is
    what the engine calls it: a container's short id, a pod, a unit. `hidepid` is the mount option of /proc, empty if
    nothing is hidden. `ptrace_scope` is Yama's, None without Yama.
    """

    kind: str
    name: str
    container_id: str
    is_gvisor: bool
    is_first_user_namespace: bool | None
    user_namespace: str
    pid_namespace: str
    hidepid: str
    ptrace_scope: int | None
    has_setpriv: bool
    identity: Identity


@noun
class KernelFeatures:
    """What this kernel has, each one tried; None where it could not be tried.

    `page_mapcount` is exact, averaged (PSS of large folios is an estimate) or unknown.
    """

    release: str
    has_smaps_rollup: bool
    has_divided_pss: bool
    has_pagemap: bool
    has_page_frames: bool
    has_pagemap_scan: bool | None
    has_kpagecount: bool
    has_kpageflags: bool
    page_mapcount: str
    has_pressure: bool
    has_children: bool


@noun
class Program:
    """A program or package that commands make use of; `path` and `version` are empty when it is not there."""

    name: str
    path: str
    version: str

    @property
    def is_found(self) -> bool:
        """Whether it is there."""
        return bool(self.path or self.version)


@noun
class Environment:
    """All that was probed about this place; `cgroup_version` is None when no group counts memory."""

    kernel: KernelFeatures
    place: Place
    programs: tuple[Program, ...]
    cgroup_version: int | None
    has_memory_account: bool

    def program(self, name: str) -> Program:
        """Return one of the programs by its name."""
        return next(one for one in self.programs if one.name == name)


@noun
class TargetFacts:
    """What a process lets us see. `identity` and `process` are None when /proc hides it.

    `files` tells of each file that commands need whether the kernel let us open it: ok, or the name of its error.
    `reason` and `detail` explain the refusals. `python_version` is like 3.12, empty if unknown; `python_evidence` is
    what told.
    """

    pid: int
    process: Process | None
    identity: Identity | None
    container_id: str
    user_namespace: str
    pid_namespace: str
    files: dict[str, str]
    reason: str
    detail: str
    python_version: str
    python_evidence: str

    def may_read(self, name: str) -> bool:
        """Whether this file of the process could be opened."""
        return self.files.get(name) == READABLE


@noun
class Ability:
    """Whether a command, at a depth, works here; or something that a later command needs (`capability`).

    `possible` is yes, no or partly; `reason` a word for programs, `cause` a line for people.
    """

    command: str | None
    depth: str | None
    capability: str | None
    possible: str
    reason: str = ""
    cause: str = ""
    remedy: Remedy = NO_REMEDY


@noun
class DoctorReport:
    """The answer to "what can I measure here?"; `target` is None when nobody asked for a process."""

    head: Head
    environment: Environment
    target: TargetFacts | None
    abilities: tuple[Ability, ...]
    gaps: tuple[Gap, ...]
    findings: tuple[Finding, ...]
