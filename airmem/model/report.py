"""Answers: facts, numbers and findings for one question."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.cgroup import CgroupMemory
    from airmem.model.change import TreeChange
    from airmem.model.finding import Finding
    from airmem.model.gap import Gap
    from airmem.model.lineup import LinedUpMapping
    from airmem.model.memory import MemoryAccount
    from airmem.model.process import Process
    from airmem.model.sharing import Sharing
    from airmem.model.snapshot import Host


@noun
class Head:
    """What every answer begins with. `origin` is the file that was asked, empty for the running system."""

    command: str
    taken_at_seconds: float
    took_seconds: float
    host: Host
    origin: str = ""


@noun
class ProcessRow:
    """One process of a tree: its place, its account and with whom it shares.

    `depth` is status, rollup, mappings, pages or none. `component` is the service's (scheduler), None for a tree that
    no detector knows; `role` is parent, worker, child or the component's own word.
    """

    process: Process
    depth: str
    role: str
    component: str | None
    account: MemoryAccount
    sharing: Sharing | None
    user_id: int | None


@noun
class TreeTotals:
    """What may be summed over a tree, in bytes; None is unknown.

    `rss_sum_bytes` counts shared pages once for each process, as top does. `distinct_bytes` counts each page once.
    `unreadable_bound_bytes` bounds the anonymous and shared memory of all unreadable processes together.
    `is_lower_bound` tells that something could not be read, so that the true sums are at least these;
    `is_sharing_bound` that a process could not be compared, so that the others share at least what is under parent
    and siblings with the tree, and at most what is under outside with others.
    """

    root_pid: int
    process_count: int
    unreadable_count: int
    rss_sum_bytes: int | None
    pss_sum_bytes: int | None
    uss_sum_bytes: int | None
    swap_pss_sum_bytes: int | None
    distinct_bytes: int | None
    exclusive_bytes: int | None
    unreadable_bound_bytes: int | None
    is_lower_bound: bool
    is_sharing_bound: bool


@noun
class PssReport:
    """The answer to "whose memory is it?".

    `component` is the root's. `processes` are those that were selected, `tree` sums all of them.
    `lineup` and `change` are None unless asked for.
    """

    head: Head
    depth: str
    component: str | None
    tree: TreeTotals
    cgroup: CgroupMemory | None
    processes: tuple[ProcessRow, ...]
    gaps: tuple[Gap, ...]
    findings: tuple[Finding, ...]
    lineup: tuple[LinedUpMapping, ...] | None = None
    change: TreeChange | None = None
