"""What a person should be told about captures: what a verdict means, and what in them is worth a look."""

from __future__ import annotations

from airmem.model.finding import Finding
from airmem.services.airflow_parts import NOT_NEEDED, component_of
from airmem.units import MIB, format_bytes, format_ratio, format_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from airmem.model.allocation import (
        AllocationDiff,
        AllocationTotals,
        CaptureFile,
        DistributionSum,
        FrameSum,
    )

WHOLE = frozenset({"complete", "aggregated", "ended_early"})
"""Verdicts whose figures are not of a part only: a worker that left by os._exit has written all that it allocated."""

UNREAD = frozenset({"other_version", "damaged", "no_capture"})

REMEDIES = {
    "complete": "",
    "aggregated": "For churn trace without --aggregate",
    "ended_early": "",
    "killed": "Trace until the program ends by itself, or end it with SIGINT; figures are of the time before",
    "disk_full": "Trace again where there is room; airmem trace watches the disk",
    "truncated": "Copy the file again, whole; figures are of its first part",
    "other_version": "Read it with the Python that was traced: airmem analyze --python /path/to/python FILE",
    "damaged": "Copy the file again; if it is damaged where it was written, trace again",
    "no_capture": "Give files that memray wrote: airmem trace, memray run, or Airflow's memray_trace_components",
}
"""Verdict -> what to do about it."""

GROWTH_BYTES_PER_HOUR = 10 * MIB
"""A line that never frees this much in an hour fills a worker of some GiB within days."""

DOMINANT_RATIO = 0.25
"""A distribution that is not Airflow and holds this part of a peak is worth asking whether it is needed."""

CHURN_RATIO = 3.0
CHURN_BYTES = 64 * MIB
"""A line that frees at once this many times the whole peak, and this much in total, keeps the allocator busy."""

NOT_NEEDED_BYTES = 6 * MIB
"""Below this a distribution's figure is uncertain in the default mode."""

MOST_LINES = 3


def check_captures(
    files: Sequence[CaptureFile],
    totals: AllocationTotals,
    distributions: Sequence[DistributionSum],
    frames: Sequence[FrameSum],
    diff: AllocationDiff | None,
) -> tuple[Finding, ...]:
    """Return the findings about captures, the gravest first."""
    found = [
        *check_ends(files),
        *check_growth(diff),
        *check_not_needed(files, distributions),
        *check_dominant(totals, distributions),
        *check_churn(totals, frames),
    ]
    return tuple(sorted(found, key=lambda finding: ("critical", "warning", "note").index(finding.severity)))


def check_ends(files: Sequence[CaptureFile]) -> list[Finding]:
    """AM601: a file does not tell everything, or nothing."""
    return [
        Finding(
            code="AM601",
            severity="warning",
            pid=one.pid,
            summary=f"{one.path} is {one.verdict.replace('_', ' ')}",
            evidence=one.detail,
            remedy=one.remedy,
        )
        for one in files
        if one.verdict not in WHOLE
    ]


def check_growth(diff: AllocationDiff | None) -> list[Finding]:
    """AM602: a line holds more, the longer the program runs."""
    if diff is None or diff.after_seconds <= diff.before_seconds:
        return []
    hours = (diff.after_seconds - diff.before_seconds) / 3600
    grown = [one for one in diff.frames if one.verdict == "grows"]
    return [
        Finding(
            code="AM602",
            severity="warning",
            pid=None,
            summary=f"{one.place.function or one.distribution} at {one.place.file}:{one.place.line} grows with time",
            evidence=f"{format_bytes(one.before_bytes)} after {format_seconds(diff.before_seconds)}, "
            f"{format_bytes(one.after_bytes)} after {format_seconds(diff.after_seconds)}",
            remedy="What is allocated at this line is kept: look for the list, dict or cache that it goes into",
        )
        for one in grown[:MOST_LINES]
        if one.change_bytes / hours >= GROWTH_BYTES_PER_HOUR
    ]


def check_not_needed(files: Sequence[CaptureFile], distributions: Sequence[DistributionSum]) -> list[Finding]:
    """AM603: a component of Airflow holds what it works without."""
    components = {component_of(one.command_line) for one in files}
    return [
        Finding(
            code="AM603",
            severity="warning",
            pid=None,
            summary=f"The {component} works without {one.distribution} and holds {format_bytes(one.peak_bytes)} of it",
            evidence=f"{one.peak_count} allocations at the peak lead to {one.distribution}",
            remedy="Find who imports it: airmem imports, or the innermost lines above; import it inside the function",
        )
        for component in sorted(components & set(NOT_NEEDED))
        for one in distributions
        if one.distribution in NOT_NEEDED[component] and one.peak_bytes >= NOT_NEEDED_BYTES
    ]


def check_dominant(totals: AllocationTotals, distributions: Sequence[DistributionSum]) -> list[Finding]:
    """AM604: a third party's distribution holds a large part of the peak."""
    return [
        Finding(
            code="AM604",
            severity="note",
            pid=None,
            summary=f"{one.distribution} holds {one.peak_bytes / totals.peak_bytes:.0%} of the peak",
            evidence=f"{format_bytes(one.peak_bytes)} of {format_bytes(totals.peak_bytes)}",
            remedy="See which lines of the application lead to it, and whether all of them are needed",
        )
        for one in distributions
        if one.kind == "package" and totals.peak_bytes and one.peak_bytes / totals.peak_bytes >= DOMINANT_RATIO
    ]


def check_churn(totals: AllocationTotals, frames: Sequence[FrameSum]) -> list[Finding]:
    """AM605: a line allocates and frees at once, again and again."""
    busy = sorted(frames, key=lambda one: -(one.churn_bytes or 0))
    return [
        Finding(
            code="AM605",
            severity="note",
            pid=None,
            summary=f"{one.place.function or one.distribution} at {one.place.file}:{one.place.line} "
            f"frees at once {format_ratio((one.churn_bytes or 0) / totals.peak_bytes)} the peak",
            evidence=f"{format_bytes(one.churn_bytes)} in total",
            remedy="It costs time and fragments the heap: reuse a buffer, or read in pieces",
        )
        for one in busy[:MOST_LINES]
        if totals.peak_bytes and (one.churn_bytes or 0) >= max(CHURN_BYTES, CHURN_RATIO * totals.peak_bytes)
    ]


def is_lower_bound(files: Sequence[CaptureFile]) -> bool:
    """Whether something that was traced is missing from the sums."""
    return any(one.verdict not in WHOLE for one in files)
