"""Sums over captures: by distribution, by the application's line, by function, by allocator, in time."""

from __future__ import annotations

from airmem.model.allocation import AllocationTotals, AllocatorSum, DistributionSum, FrameSum, Place, TimelinePoint
from airmem.units import MIB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeAlias

    from airmem.analysis.distributions import Distributions
    from airmem.model.allocation import CaptureFacts, PlaceSum

UNCERTAIN_BYTES = 6 * MIB
"""Without --trace-python-allocators memray sees pymalloc's arenas of 1 MiB, each charged to whoever needed it first.
Between a run with and one without, packages below this moved by up to a factor of 3 (PyYAML 1.8 and 5.6 MB), those
above by at most a quarter (measured on Airflow 3.3.2's scheduler)."""

UNATTRIBUTED = "not in memray's records"
UNCERTAIN_RATIO = 0.1
MAPPED_RATIO = 0.5
"""A figure that consists of arenas by more than half may be somebody else's (PyYAML: 6.4 MiB, 1.8 MB by its blocks)."""

MAPPED = "mapped"
MOST_PACKAGES = 4

Sums: TypeAlias = "dict[str, list[int]]"
"""View -> [bytes, allocations]."""


def sum_distributions(captures: Sequence[CaptureFacts], known: Distributions) -> tuple[DistributionSum, ...]:
    """Return what each distribution holds, the largest peak first; the peaks add up to memray's own.

    An allocation belongs to the innermost frame outside the standard library. What memray counts in its peak and has
    no record for gets a line of its own.
    """
    sums: dict[tuple[str, str], Sums] = {}
    for view, one in _causes(captures):
        group = sums.setdefault(known.of(one.package), {})
        _add(group.setdefault(view, [0, 0]), one.size_bytes, one.allocation_count)
        if view == "peak":
            _add(group.setdefault(MAPPED, [0, 0]), one.mapped_bytes, 0)
    missing = sum((one.peak_bytes or 0) - _total(one, "peak") for one in captures if one.views)
    if missing:
        sums[(UNATTRIBUTED, "unknown")] = {"peak": [missing, 0]}
    has_churn, arena_bytes = has_view(captures, "churn"), arenas_of(captures)
    rows = [
        DistributionSum(
            distribution=name,
            kind=kind,
            peak_bytes=_of(one, "peak"),
            leaked_bytes=_of(one, "leaked"),
            churn_bytes=_of(one, "churn") if has_churn else None,
            peak_count=_of(one, "peak", 1),
            is_uncertain=_is_uncertain(one, arena_bytes),
        )
        for (name, kind), one in sums.items()
    ]
    return tuple(sorted(rows, key=lambda one: (-one.peak_bytes, -one.leaked_bytes, one.distribution)))


def sum_application_frames(captures: Sequence[CaptureFacts], known: Distributions) -> tuple[FrameSum, ...]:
    """Return what each line of the application holds, the innermost one of each stack, largest peak first.

    What no line of the application led to stands under the file of its package.
    """
    return _sum_frames(captures, known, ((view, _cause_of(one), one) for view, one in _causes(captures)))


def sum_functions(captures: Sequence[CaptureFacts], known: Distributions) -> tuple[FrameSum, ...]:
    """Return what the innermost functions hold, largest peak first; small ones are one row without a name."""
    pairs = ((view.view, one.place, one) for capture in captures for view in capture.views for one in view.functions)
    return _sum_frames(captures, known, pairs)


def _sum_frames(
    captures: Sequence[CaptureFacts], known: Distributions, items: Iterable[tuple[str, Place, PlaceSum]]
) -> tuple[FrameSum, ...]:
    places: dict[tuple[str, str, int], Place] = {}
    sums: dict[tuple[str, str, int], Sums] = {}
    packages: dict[tuple[str, str, int], dict[str, int]] = {}
    for view, place, one in items:
        key = (place.function, place.file, place.line)  # a noun's own hash takes ten times as long
        if key not in places:
            places[key], sums[key], packages[key] = place, {}, {}
        _add(sums[key].setdefault(view, [0, 0]), one.size_bytes, one.allocation_count)
        if view == "peak":
            _add(sums[key].setdefault(MAPPED, [0, 0]), one.mapped_bytes, 0)
            through = packages[key]
            name = known.of(one.package)[0]
            through[name] = through.get(name, 0) + one.size_bytes
    has_churn, arena_bytes = has_view(captures, "churn"), arenas_of(captures)
    rows = [
        FrameSum(
            place=place,
            distribution=known.of(place.file)[0] if place.file else "",
            packages=_largest(packages[key]),
            peak_bytes=_of(one, "peak"),
            leaked_bytes=_of(one, "leaked"),
            churn_bytes=_of(one, "churn") if has_churn else None,
            peak_count=_of(one, "peak", 1),
            is_uncertain=_is_uncertain(one, arena_bytes),
        )
        for key, place in places.items()
        for one in (sums[key],)
    ]
    return tuple(sorted(rows, key=lambda one: (-one.peak_bytes, -one.leaked_bytes, one.place.file, one.place.line)))


def sum_allocators(captures: Iterable[CaptureFacts]) -> tuple[AllocatorSum, ...]:
    """Return what came through each allocator at the peak, largest first."""
    sums: dict[str, list[int]] = {}
    for capture in captures:
        for view in capture.views:
            for one in view.allocators if view.view == "peak" else ():
                _add(sums.setdefault(one.allocator, [0, 0]), one.size_bytes, one.allocation_count)
    rows = [AllocatorSum(allocator=name, size_bytes=a, allocation_count=b) for name, (a, b) in sums.items()]
    return tuple(sorted(rows, key=lambda one: -one.size_bytes))


def sum_totals(captures: Sequence[CaptureFacts], *, is_lower_bound: bool) -> AllocationTotals:
    """Return the sums over all files; processes do not peak at one time, so the peak is an upper bound of theirs."""
    read = [one for one in captures if one.views]
    has_churn = has_view(captures, "churn")
    churn = [view for one in read for view in one.views if view.view == "churn"]
    return AllocationTotals(
        file_count=len(captures),
        unread_count=len(captures) - len(read),
        process_count=len(read),
        peak_bytes=sum(one.peak_bytes or 0 for one in read),
        leaked_bytes=sum(_total(one, "leaked") for one in read),
        churn_bytes=sum(view.total_bytes for view in churn) if has_churn else None,
        churn_count=sum(one.allocation_count for view in churn for one in view.allocators) if has_churn else None,
        is_lower_bound=is_lower_bound,
    )


def merge_timelines(captures: Iterable[CaptureFacts], point_count: int = 400) -> tuple[TimelinePoint, ...]:
    """Return the heap of all processes together at even steps of time, from the first start to the last end."""
    lines = [one.timeline for one in captures if one.timeline]
    if not lines:
        return ()
    began = min(line[0].at_seconds for line in lines)
    ended = max(line[-1].at_seconds for line in lines)
    count = max(2, min(point_count, max(len(line) for line in lines)))
    step_seconds = (ended - began) / (count - 1)
    positions = [0] * len(lines)
    points = []
    for number in range(count):
        at = began + number * step_seconds
        heap = rss = alive = 0
        for which, line in enumerate(lines):
            while positions[which] + 1 < len(line) and line[positions[which] + 1].at_seconds <= at:
                positions[which] += 1
            now = line[positions[which]]
            if now.at_seconds <= at <= line[-1].at_seconds + step_seconds:
                heap, rss, alive = heap + now.heap_bytes, rss + now.rss_bytes, alive + 1
        points.append(
            TimelinePoint(at_seconds=round(at - began, 3), heap_bytes=heap, rss_bytes=rss, process_count=alive)
        )
    return tuple(points)


def leaks_of(
    captures: Iterable[CaptureFacts], known: Distributions
) -> tuple[dict[tuple[Place, str], int], dict[str, int]]:
    """Return what was never freed, in bytes: by the application's line (and distribution), and by distribution."""
    frames: dict[tuple[Place, str], int] = {}
    distributions: dict[str, int] = {}
    for view, one in _causes(captures):
        if view == "leaked":
            package, place = known.of(one.package)[0], _cause_of(one)
            key = (place, known.of(place.file)[0])
            frames[key] = frames.get(key, 0) + one.size_bytes
            distributions[package] = distributions.get(package, 0) + one.size_bytes
    return frames, distributions


def is_coarse(captures: Iterable[CaptureFacts]) -> bool:
    """Whether memray saw pymalloc's arenas instead of its blocks in one of the files."""
    return any(one.views and not one.traces_python_allocators for one in captures)


def arenas_of(captures: Iterable[CaptureFacts]) -> int:
    """Return the bytes of pymalloc's arenas at the peak, where memray saw these instead of their blocks.

    Arenas are what Python maps by itself; what malloc maps is told as malloc's.
    """
    return sum(
        one.size_bytes
        for capture in captures
        if not capture.traces_python_allocators
        for view in capture.views
        for one in view.allocators
        if view.view == "peak" and one.allocator == "mmap"
    )


def has_view(captures: Iterable[CaptureFacts], view: str) -> bool:
    """Whether every file that could be read has a view: a sum over some of them would tell nothing."""
    read = [one for one in captures if one.views]
    return bool(read) and all(any(other.view == view for other in one.views) for one in read)


def _causes(captures: Iterable[CaptureFacts]) -> Iterator[tuple[str, PlaceSum]]:
    return ((view.view, one) for capture in captures for view in capture.views for one in view.causes)


def _is_uncertain(sums: Sums, arena_bytes: int) -> bool:
    """Whether arenas charged to the wrong one can have moved a figure by much. `arena_bytes` is all of them."""
    peak_bytes = _of(sums, "peak")
    if arena_bytes <= UNCERTAIN_RATIO * peak_bytes:
        return False
    return peak_bytes < UNCERTAIN_BYTES or _of(sums, MAPPED) > MAPPED_RATIO * peak_bytes


def _cause_of(one: PlaceSum) -> Place:
    return one.place if one.place.file else Place(function="", file=one.package, line=0)


def _largest(sizes: dict[str, int]) -> tuple[str, ...]:
    return tuple(sorted(sizes, key=lambda name: -sizes[name])[:MOST_PACKAGES])


def _add(sums: list[int], size_bytes: int, count: int) -> None:
    sums[0] += size_bytes
    sums[1] += count


def _of(sums: Sums, view: str, position: int = 0) -> int:
    return sums[view][position] if view in sums else 0


def _total(capture: CaptureFacts, name: str) -> int:
    return sum(view.total_bytes for view in capture.views if view.view == name)
