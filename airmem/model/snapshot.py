"""Facts of a tree of processes at one time."""

from __future__ import annotations

from dataclasses import dataclass

from airmem.model.cgroup import CgroupMemory
from airmem.model.gap import Gap
from airmem.model.memory import Mapping, MemoryAccount
from airmem.model.pages import PageTables
from airmem.model.process import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The place where something was measured; what is unknown is empty."""

    boot_id: str
    hostname: str
    kernel: str
    pid_namespace: str
    container_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSnapshot:
    """What was read of one process. `depth` is status, rollup, mappings or pages; `none` if nothing could be read.

    `mappings` only where they were asked for. `user_id` is the effective one, None if nobody asked.
    """

    process: Process
    depth: str
    account: MemoryAccount
    mappings: tuple[Mapping, ...] | None = None
    user_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupRemainder:
    """What a control group holds beyond the tree's readable processes, to bound the unreadable ones.

    `outsiders_pss_bytes` is the anonymous and shared memory of the group's readable processes outside the tree, as
    PSS. `obstacles` names each precondition of the bound that fails (none: the bound holds).
    """

    outsiders_pss_bytes: int
    obstacles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSnapshot:
    """A process and its descendants: parents before children, children of one parent together."""

    processes: tuple[ProcessSnapshot, ...]
    host: Host
    cgroup: CgroupMemory | None
    remainder: CgroupRemainder | None
    page_tables: PageTables | None
    gaps: tuple[Gap, ...]
    taken_at_seconds: float
