"""What became of the pages that workers inherited, in bytes, and what a collection will make of the rest."""

from __future__ import annotations

import numpy as np

from airmem.analysis.address_map import find_runs, is_in_files, sum_by_mapping
from airmem.analysis.collected import was_compared
from airmem.analysis.words import ALLOCATED, CHANGED, FREED, OTHER
from airmem.analysis.writers import COPIED, COPIED_BY_PARENT, FREED_BY_PARENT, NEW, SHARED, SWAPPED
from airmem.model.cow import CAUSES, CauseBytes, CowWorker, Forecast, WriteBytes
from airmem.units import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.explain import Explanation
    from airmem.analysis.writers import Member
    from airmem.model.cow import PageRuns
    from airmem.model.process import Process

REFCOUNT, UNKNOWN = CAUSES.index("refcount"), CAUSES.index("unknown")


def describe_worker(
    process: Process,
    role: str,
    component: str | None,
    member: Member | None,
    told: Explanation | None,
    *,
    with_runs: bool = False,
) -> CowWorker:
    """Return a process's pages by state and cause, `with_runs` also where they lie.

    `member` is None where its page table, or its parent's, cannot be read; `told` where contents cannot.
    """
    if member is None or member.is_same_memory:
        return _unread(process, role, component)
    counts = np.bincount(member.states, minlength=SWAPPED + 1) * PAGE_BYTES
    shared, copied, by_parent = (int(counts[state]) for state in (SHARED, COPIED, COPIED_BY_PARENT))
    causes = np.full(len(member.pages), UNKNOWN, np.uint8) if told is None else told.causes
    totals = _sum_causes(member, causes, told)
    return CowWorker(
        process=process,
        role=role,
        component=component,
        certainty=member.certainty,
        inherited_bytes=shared + copied + by_parent,
        shared_bytes=shared,
        copied_bytes=copied,
        copied_by_parent_bytes=by_parent,
        both_wrote_bytes=None if member.both_wrote_count is None else member.both_wrote_count * PAGE_BYTES,
        freed_by_parent_bytes=int(counts[FREED_BY_PARENT]),
        new_bytes=int(counts[NEW]),
        swapped_bytes=int(counts[SWAPPED]),
        causes=totals,
        writes=None if told is None else _sum_writes(told, totals.data_bytes),
        types=() if told is None else told.types,
        collector=None if told is None else told.collector,
        at_risk_bytes=None if told is None or told.live is None else _size(told.live & member.is_shared),
        frozen_shared_bytes=None
        if told is None or told.frozen is None or told.live is None
        else _size(told.frozen & ~told.live & member.is_shared),
        static_refcount_bytes=None if told is None or told.has_immortals else _sum_static(member, causes),
        imported_bytes=None if told is None else told.imported_page_count * PAGE_BYTES,
        unstable_bytes=0 if told is None else told.unstable_count * PAGE_BYTES,
        mappings=sum_by_mapping(member),
        runs=_find_runs(member, causes, told) if with_runs else None,
    )


def _find_runs(member: Member, causes: np.typing.NDArray[np.uint8], told: Explanation | None) -> PageRuns:
    types = None if told is None else told.page_types
    if types is None:
        types = np.full(len(member.pages), -1, np.int32)
    return find_runs(member, causes, types, told.type_names if told else {})


def forecast(members: list[Member | None], told: dict[int, Explanation]) -> Forecast:
    """Return by how much the tree would grow if every process of it ran one full collection.

    Of a page that several map the last one to write keeps the original: one copy less than processes.
    """
    family = [one for one in members[1:] if one is not None]
    total = 0
    for member in family:
        explanation = told.get(member.position)
        if explanation is None or explanation.live is None:
            continue
        total += _size(explanation.live & (member.states == SHARED))
    for elder in members:
        if elder is not None:
            total += _siblings_at_risk(elder, told)
    is_known = any(one.live is not None for one in told.values())
    return Forecast(at_risk_bytes=total if is_known else None, worker_count=len(members) - 1)


def _siblings_at_risk(elder: Member, told: dict[int, Explanation]) -> int:
    """Return what children would copy of pages that they share with each other and not with their parent."""
    frames = []
    for child in elder.children:
        explanation = told.get(child.position)
        if explanation is not None and explanation.live is not None:
            joint = explanation.live & child.is_shared & (child.states == COPIED_BY_PARENT)
            frames.append(child.frames[joint])
    if not frames:
        return 0
    joined = np.concatenate(frames)
    if not joined.any():  # hidden: then one of the children, the one with most, keeps the originals
        return (len(joined) - max(map(len, frames))) * PAGE_BYTES
    return (len(joined) - len(np.unique(joined))) * PAGE_BYTES


def sum_old_originals(members: list[Member | None]) -> tuple[int, int]:
    """Return the bytes of originals that only children still map, since their parent wrote its pages after the fork.

    All of them, and what there would be less of if all children had the same ones, which those of the child have that
    has most.
    """
    total = kept = 0
    for elder in members:
        if elder is None or not elder.children:
            continue
        originals = [child.frames[child.states == COPIED_BY_PARENT] for child in elder.children]
        most = max(map(len, originals))
        frames = np.concatenate(originals)
        kept += most
        total += len(np.unique(frames)) if frames.any() else most  # hidden: at least those
    return total * PAGE_BYTES, (total - kept) * PAGE_BYTES


def _sum_static(member: Member, causes: np.typing.NDArray[np.uint8]) -> int:
    """Return the bytes copied by reference counts in mappings of files."""
    in_files = is_in_files(member.ranges, member.pages)
    return _size(in_files & (member.states == COPIED) & (causes == REFCOUNT))


def _size(flags: np.typing.NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(flags)) * PAGE_BYTES


def _sum_causes(member: Member, causes: np.typing.NDArray[np.uint8], told: Explanation | None) -> CauseBytes:
    """Return the copied bytes by cause; where a part of the pages was read, in the proportions of that part."""
    is_copied = member.states == COPIED
    looked = is_copied if told is None else is_copied & was_compared(told.comparison)
    counts = np.bincount(causes[looked], minlength=len(CAUSES))
    gc, refcount, other, unknown = (one * PAGE_BYTES for one in _extend(counts, int(np.count_nonzero(is_copied))))
    return CauseBytes(gc_bytes=gc, refcount_bytes=refcount, data_bytes=other, unknown_bytes=unknown)


def _sum_writes(told: Explanation, data_bytes: int) -> WriteBytes:
    """Return the data by kind, in the proportions of the pages that were read."""
    counts = np.bincount(told.comparison.kinds[told.comparison.codes == OTHER], minlength=CHANGED + 1)
    sums = [one * PAGE_BYTES for one in _extend(counts, data_bytes // PAGE_BYTES)]
    return WriteBytes(allocated_bytes=sums[ALLOCATED], freed_bytes=sums[FREED], changed_bytes=sums[CHANGED])


def _extend(counts: np.typing.NDArray[np.int64], total: int) -> list[int]:
    """Return counts of a part in the same proportions for so many in all, whole numbers that sum to it."""
    looked = int(counts.sum())
    if not looked or looked == total:
        return [int(one) for one in counts]
    edges = np.rint(np.cumsum(counts) * (total / looked)).astype(np.int64)
    return [int(one) for one in np.diff(edges, prepend=0)]


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
        both_wrote_bytes=None,
        freed_by_parent_bytes=None,
        new_bytes=None,
        swapped_bytes=None,
        causes=None,
        writes=None,
        types=(),
        collector=None,
        at_risk_bytes=None,
        frozen_shared_bytes=None,
        static_refcount_bytes=None,
        imported_bytes=None,
        unstable_bytes=0,
        mappings=(),
        runs=None,
    )
