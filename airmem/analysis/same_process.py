"""Recordings that cannot be summed: of one process at two times, or the same recording twice."""

from __future__ import annotations

from itertools import combinations

from airmem.analysis.capture_end import duration_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from airmem.model.allocation import CaptureFacts


def find_repeated(captures: Sequence[CaptureFacts]) -> tuple[CaptureFacts, CaptureFacts, bool] | None:
    """Return two captures of one process, the earlier one first, and whether they are the same recording; None if none.

    memray records a process once at a time, so that two recordings that overlap are of two processes, which have
    the same pid in two containers. A later process that has a pid again runs another command, but for a container's.
    """
    groups: dict[tuple[int, str], list[CaptureFacts]] = {}
    for one in captures:
        header = one.state.header
        pid = one.pid if one.pid is not None or header is None else header.pid
        if one.views and header is not None and pid is not None:
            groups.setdefault((pid, header.command_line), []).append(one)
    for (pid, _), group in groups.items():
        for early, late in combinations(sorted(group, key=_began), 2):
            if _may_share_host(early, late, pid):
                if _is_same(early, late):
                    return early, late, True
                if _is_over_before(early, late):
                    return early, late, False
    return None


def _began(one: CaptureFacts) -> float:
    return one.state.header.started_at_seconds if one.state.header else 0.0


def _is_over_before(early: CaptureFacts, late: CaptureFacts) -> bool:
    lasted_seconds = duration_of(early)
    began, next_began = _began(early), _began(late)
    return lasted_seconds is not None and began < next_began and began + lasted_seconds <= next_began


def _is_same(one: CaptureFacts, other: CaptureFacts) -> bool:
    sizes = one.state.size_bytes == other.state.size_bytes
    return sizes and _began(one) == _began(other) and one.peak_bytes == other.peak_bytes


def _may_share_host(one: CaptureFacts, other: CaptureFacts, pid: int) -> bool:
    """Whether nothing in their names tells two hosts: airmem calls them LABEL-HOST-PID-TIME.bin."""
    before = [facts.state.path.rpartition("/")[2].rpartition(f"-{pid}-")[0] for facts in (one, other)]
    return not all(before) or before[0] == before[1]
