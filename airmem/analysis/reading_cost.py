"""What reading captures will cost, told by their headers before anything is read."""

from __future__ import annotations

from airmem.model.allocation import ReadingCost
from airmem.units import MIB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from airmem.model.allocation import CaptureState

START_SECONDS = 0.25
SECONDS_PER_ALLOCATION = 1e-6
CHURN_SECONDS_PER_ALLOCATION = 0.5e-6
"""CPU here, one core of a shared machine, of captures of 1 to 33 million records (docs/commands/analyze.md)."""

RAW_BYTES_PER_ALLOCATION = 3.5
"""Of an uncompressed capture whose writer never counted (measured)."""

START_BYTES = 48 * MIB
BYTES_PER_BYTE = 7
CHURN_BYTES_PER_BYTE = 18
"""Memory for each byte of a compressed capture of imports. It follows distinct stacks, which only a reading tells."""

BYTES_PER_STACK = 1200
LIKELY_STACKS = 200_000
"""memray's own aggregation of a stack that holds something (measured: 480 to 970, once 1150). There are at most as many
as allocations."""

MOST_CHURN_BYTES = 256 * MIB
"""Churn is read unasked where that takes no more memory than this."""


def estimate_cost(states: Sequence[CaptureState], *, with_churn: bool) -> ReadingCost:
    """Return about how many CPU seconds, and how much memory the reader takes. Files are read one after the other."""
    each = SECONDS_PER_ALLOCATION + CHURN_SECONDS_PER_ALLOCATION * with_churn
    factor = CHURN_BYTES_PER_BYTE if with_churn else BYTES_PER_BYTE
    largest = max((one.size_bytes for one in states if one.header), default=0)
    most = max(map(_allocations, states), default=0)
    return ReadingCost(
        cpu_seconds=START_SECONDS + each * sum(map(_allocations, states)),
        memory_bytes=START_BYTES + max(factor * largest, BYTES_PER_STACK * round(min(LIKELY_STACKS, most))),
        size_bytes=sum(one.size_bytes for one in states if one.header),
    )


def can_afford_churn(states: Sequence[CaptureState]) -> bool:
    """Whether churn can be read within MOST_CHURN_BYTES, and whether there is any (an aggregated file has none)."""
    if any(one.header is not None and one.header.is_aggregated for one in states):
        return False
    return estimate_cost(states, with_churn=True).memory_bytes <= MOST_CHURN_BYTES


def _allocations(state: CaptureState) -> float:
    if state.header is None:
        return 0
    return state.header.allocation_count or state.size_bytes / RAW_BYTES_PER_ALLOCATION
