"""Runs of pages: where in an address space page tables are read, and where their words are."""

from __future__ import annotations

from airmem.units import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    import numpy.typing as npt

    Words: TypeAlias = npt.NDArray[np.uint64]

Runs: TypeAlias = "tuple[tuple[int, int], ...]"
"""(first page, page count), ascending."""

GAP_PAGES = 256
"""Ranges this close are read in one call: a hole costs 2.4 ns a page, a call as much as 400 pages."""

SLACK_PAGES = 2048
"""How much beyond each range is looked at, since heaps of forked workers grow at the edges of their parent's."""

PART_PAGES = 8192
"""Siblings are read by turns, so many pages of each: what the kernel keeps of the frames that they share (64 bytes
each) stays in a cache of 1 MiB from one to the next. Of 65 processes with 54,000 pages each, a table took 2.6 ms of CPU
so, and 4.6 ms one after the other."""

LAST_PAGE = (1 << 47) // PAGE_BYTES


def cut_runs(runs: Runs) -> list[Runs]:
    """Return runs cut into parts of PART_PAGES, one after the other; the last may be shorter."""
    parts: list[Runs] = []
    part: list[tuple[int, int]] = []
    room = PART_PAGES
    for first, count in runs:
        done = 0
        while done < count:
            taken = min(room, count - done)
            part.append((first + done, taken))
            done += taken
            room -= taken
            if not room:
                parts.append(tuple(part))
                part, room = [], PART_PAGES
    return [*parts, tuple(part)] if part else parts


def pieces_of(runs: Runs, words: Words) -> list[tuple[tuple[int, int], Words]]:
    """Return each run with its part of the words."""
    pieces = []
    offset = 0
    for first, count in runs:
        pieces.append(((first, count), words[offset : offset + count]))
        offset += count
    return pieces


def subtract_runs(runs: Runs, known: Runs) -> Runs:
    """Return the parts of runs that no known run covers."""
    left = []
    for first, count in runs:
        at, end = first, first + count
        for known_first, known_count in known:
            if known_first + known_count <= at or known_first >= end:
                continue
            if known_first > at:
                left.append((at, known_first - at))
            at = min(end, known_first + known_count)
        if at < end:
            left.append((at, end - at))
    return tuple(left)


def cover_ranges(ranges: list[tuple[int, int]]) -> Runs:
    """Return runs of pages (first, count) that cover the ranges of addresses and some slack around them."""
    runs: list[list[int]] = []
    for start, end in ranges:
        first = max(0, start // PAGE_BYTES - SLACK_PAGES)
        last = max(first, min(LAST_PAGE, end // PAGE_BYTES + SLACK_PAGES))
        if runs and first - runs[-1][1] <= GAP_PAGES:
            runs[-1][1] = max(runs[-1][1], last)
        else:
            runs.append([first, last])
    return tuple((first, last - first) for first, last in runs)


def blank(words: Words, runs: Runs, first: int, last: int) -> None:
    """Set the words of a range of pages to 0."""
    offset = 0
    for start, count in runs:
        low, high = max(first, start), min(last, start + count)
        if low < high:
            words[offset + low - start : offset + high - start] = 0
        offset += count
