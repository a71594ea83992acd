"""Two sets of captures of different length compared: what grows with time is a leak, what does not is a cache."""

from __future__ import annotations

from airmem.analysis.allocation import is_coarse, leaks_of
from airmem.analysis.capture_end import duration_of
from airmem.model.allocation import AllocationChange, AllocationDiff, Place
from airmem.units import MIB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airmem.analysis.distributions import Distributions
    from airmem.model.allocation import CaptureFacts

COARSE_STEP_BYTES = 2 * MIB
"""Two arenas: in the default mode whole arenas of 1 MiB are charged now to one line, now to another (measured)."""

FINE_STEP_BYTES = MIB // 4
"""With --trace-python-allocators every block is charged to its own line; what is below this is not worth a line."""

STEADY_RATIO = 0.1
"""A line that holds within a tenth of what it held in the shorter capture does not grow with time."""


def diff_captures(
    before: Sequence[CaptureFacts], after: Sequence[CaptureFacts], known: Distributions
) -> AllocationDiff:
    """Return what each line never freed in the shorter captures and in the longer ones, most grown first.

    Whichever set covers the shorter time comes first. A line's verdict is `grows`, `steady` (a bounded cache, or what
    starting up allocates once), `shrinks` or `small` (below what the mode can tell).
    """
    if longest_of(before) > longest_of(after):
        before, after = after, before
    step_bytes = COARSE_STEP_BYTES if is_coarse([*before, *after]) else FINE_STEP_BYTES
    old_frames, old_distributions = leaks_of(before, known)
    new_frames, new_distributions = leaks_of(after, known)
    frames = [
        _change(place, name, old_frames.get((place, name), 0), new_frames.get((place, name), 0), step_bytes)
        for place, name in {**old_frames, **new_frames}
    ]
    nowhere = Place(function="", file="", line=0)
    distributions = [
        _change(nowhere, name, old_distributions.get(name, 0), new_distributions.get(name, 0), step_bytes)
        for name in {**old_distributions, **new_distributions}
    ]
    return AllocationDiff(
        before_paths=tuple(one.state.path for one in before),
        before_seconds=longest_of(before),
        after_seconds=longest_of(after),
        before_bytes=sum(old_distributions.values()),
        after_bytes=sum(new_distributions.values()),
        frames=_sorted(frames),
        distributions=_sorted(distributions),
    )


def longest_of(captures: Iterable[CaptureFacts]) -> float:
    """Return the longest duration among captures, in seconds: a parent's, beside its workers'."""
    return max((duration_of(one) or 0.0 for one in captures), default=0.0)


def _change(place: Place, distribution: str, before: int, after: int, step_bytes: int) -> AllocationChange:
    change = after - before
    if max(before, after) < step_bytes:
        verdict = "small"
    elif abs(change) <= max(step_bytes, STEADY_RATIO * before):
        verdict = "steady"
    else:
        verdict = "grows" if change > 0 else "shrinks"
    return AllocationChange(
        place=place,
        distribution=distribution,
        before_bytes=before,
        after_bytes=after,
        change_bytes=change,
        growth_ratio=after / before if before else None,
        verdict=verdict,
    )


def _sorted(changes: list[AllocationChange]) -> tuple[AllocationChange, ...]:
    return tuple(sorted(changes, key=lambda one: (-one.change_bytes, -one.after_bytes, one.distribution)))
