"""Facts of a tree of processes at one time."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.cgroup import CgroupMemory
    from airmem.model.gap import Gap
    from airmem.model.mapping import Mapping
    from airmem.model.memory import MemoryAccount
    from airmem.model.page_tables import PageTables
    from airmem.model.process import Process
    from airmem.model.remainder import CgroupRemainder


@noun
class Host:
    """The place where something was measured; what is unknown is empty."""

    boot_id: str
    hostname: str
    kernel: str
    pid_namespace: str
    container_id: str


@noun
class ProcessSnapshot:
    """What was read of one process. `depth` is status, rollup, mappings or pages; `none` if nothing could be read.

    `mappings` only where they were asked for. `user_id` is the effective one, None if nobody asked.
    """

    process: Process
    depth: str
    account: MemoryAccount
    mappings: tuple[Mapping, ...] | None = None
    user_id: int | None = None


@noun
class TreeSnapshot:
    """A process and its descendants: parents before children, children of one parent together."""

    processes: tuple[ProcessSnapshot, ...]
    host: Host
    cgroup: CgroupMemory | None
    remainder: CgroupRemainder | None
    page_tables: PageTables | None
    gaps: tuple[Gap, ...]
    taken_at_seconds: float
