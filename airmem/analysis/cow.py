"""What became of the pages that workers inherited, in bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from airmem.analysis.address_map import find_runs, sum_by_mapping
from airmem.analysis.writers import COPIED, COPIED_BY_PARENT, FREED_BY_PARENT, NEW, SHARED, SWAPPED
from airmem.model.cow import CAUSES, CowWorker
from airmem.units import PAGE_BYTES

if TYPE_CHECKING:
    from airmem.analysis.writers import Member
    from airmem.model.process import Process

UNKNOWN = CAUSES.index("unknown")


def describe_worker(process: Process, role: str, component: str | None, member: Member | None) -> CowWorker:
    """Return a process's pages by state; `member` is None where its page table, or its parent's, cannot be read."""
    if member is None:
        return _unread(process, role, component)
    counts = np.bincount(member.states, minlength=SWAPPED + 1) * PAGE_BYTES
    shared, copied, by_parent = (int(counts[state]) for state in (SHARED, COPIED, COPIED_BY_PARENT))
    return CowWorker(
        process=process,
        role=role,
        component=component,
        certainty=member.certainty,
        inherited_bytes=shared + copied + by_parent,
        shared_bytes=shared,
        copied_bytes=copied,
        copied_by_parent_bytes=by_parent,
        freed_by_parent_bytes=int(counts[FREED_BY_PARENT]),
        new_bytes=int(counts[NEW]),
        swapped_bytes=int(counts[SWAPPED]),
        causes=None,
        data=None,
        types=(),
        collector=None,
        at_risk_bytes=None,
        frozen_shared_bytes=None,
        unstable_bytes=0,
        mappings=sum_by_mapping(member),
        runs=find_runs(member, np.full(len(member.pages), UNKNOWN, np.uint8)),
    )


def _unread(process: Process, role: str, component: str | None) -> CowWorker:
    return CowWorker(
        process=process,
        role=role,
        component=component,
        certainty="inferred",
        inherited_bytes=None,
        shared_bytes=None,
        copied_bytes=None,
        copied_by_parent_bytes=None,
        freed_by_parent_bytes=None,
        new_bytes=None,
        swapped_bytes=None,
        causes=None,
        data=None,
        types=(),
        collector=None,
        at_risk_bytes=None,
        frozen_shared_bytes=None,
        unstable_bytes=0,
        mappings=(),
        runs=None,
    )
