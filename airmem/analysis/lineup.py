"""Lining up the mappings of forked workers with their parent's."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from airmem.model.lineup import LinedUpMapping, WorkerRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from airmem.model.mapping import Mapping
    from airmem.model.snapshot import ProcessSnapshot


def line_up(processes: Sequence[ProcessSnapshot]) -> tuple[LinedUpMapping, ...]:
    """Return each range of the root with the same range of every process forked from it, by ascending address.

    A worker's mapping belongs to the root's range that it overlaps. Where it overlaps several, because it merged
    them, these ranges are taken as one: smaps cannot tell which part of a mapping is resident. Processes that have
    called exec have other addresses and are left out, as are mappings that only workers have.
    """
    root = processes[0]
    if not root.mappings:
        return ()
    workers = [one for one in _forked_family(processes) if one.mappings]
    groups = _merge_bridged(root.mappings, [one.mappings or () for one in workers])
    ends = [group[-1].end_address for group in groups]
    starts = [group[0].start_address for group in groups]
    shares: list[list[WorkerRange]] = [[] for _ in groups]
    for worker in workers:
        inside: dict[int, list[Mapping]] = {}
        for mapping in worker.mappings or ():
            position = bisect_right(ends, mapping.start_address)
            if position < len(groups) and starts[position] < mapping.end_address:
                inside.setdefault(position, []).append(mapping)
        for position, mappings in inside.items():
            shares[position].append(_sum_range(worker.process.pid, mappings))
    return tuple(_lined_up(group, tuple(found)) for group, found in zip(groups, shares, strict=True))


def _forked_family(processes: Sequence[ProcessSnapshot]) -> list[ProcessSnapshot]:
    """Return the descendants that still have the root's addresses: forked, and so were their parents."""
    family = {processes[0].process.pid}
    forked = []
    for one in processes[1:]:
        if one.process.is_forked and one.process.parent_pid in family:
            family.add(one.process.pid)
            forked.append(one)
    return forked


def _merge_bridged(mappings: Sequence[Mapping], workers: Sequence[Sequence[Mapping]]) -> list[list[Mapping]]:
    """Return the root's mappings, those together that some worker's single mapping spans."""
    starts = [mapping.start_address for mapping in mappings]
    ends = [mapping.end_address for mapping in mappings]
    joined = [False] * len(mappings)
    for worker in workers:
        for mapping in worker:
            first = bisect_right(ends, mapping.start_address)
            last = bisect_left(starts, mapping.end_address) - 1
            for position in range(first + 1, last + 1):
                joined[position] = True
    groups: list[list[Mapping]] = []
    for mapping, is_joined in zip(mappings, joined, strict=True):
        if is_joined:
            groups[-1].append(mapping)
        else:
            groups.append([mapping])
    return groups


def _sum_range(pid: int, mappings: list[Mapping]) -> WorkerRange:
    accounts = [mapping.account for mapping in mappings]
    return WorkerRange(
        pid=pid,
        size_bytes=sum(mapping.size_bytes for mapping in mappings),
        rss_bytes=sum(account.rss_bytes or 0 for account in accounts),
        pss_bytes=sum(account.pss_bytes or 0 for account in accounts),
        shared_bytes=sum((one.shared_clean_bytes or 0) + (one.shared_dirty_bytes or 0) for one in accounts),
        private_bytes=sum(account.uss_bytes or 0 for account in accounts),
    )


def _lined_up(group: list[Mapping], workers: tuple[WorkerRange, ...]) -> LinedUpMapping:
    largest = max(group, key=lambda mapping: mapping.size_bytes)
    return LinedUpMapping(
        start_address=group[0].start_address,
        end_address=group[-1].end_address,
        permissions=largest.permissions,
        name=largest.name,
        size_bytes=sum(mapping.size_bytes for mapping in group),
        rss_bytes=_sum([mapping.account.rss_bytes for mapping in group]),
        pss_bytes=_sum([mapping.account.pss_bytes for mapping in group]),
        workers=workers,
    )


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
