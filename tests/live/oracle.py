"""Whose pages are whose, counted by brute force: one page at a time, sets of page frames, nothing of airmem's.

It reads pagemap, kpagecount and kpageflags only (Documentation/admin-guide/mm/pagemap.rst); what is a zero page or a
hugetlb page it learns from kpageflags, which airmem does not read.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PRESENT = 1 << 63
FRAME_MASK = (1 << 55) - 1
KPF_HUGE, KPF_ZERO_PAGE = 1 << 17, 1 << 24
RUN_FRAMES = 1 << 14


@dataclass(frozen=True)
class Count:
    """What one process maps, in bytes; `pss_bytes` is an exact fraction."""

    rss_bytes: int
    pss_bytes: Fraction
    uss_bytes: int
    parent_bytes: int
    siblings_bytes: int
    outside_bytes: int


@dataclass(frozen=True)
class TreeCount:
    """What a tree maps."""

    by_pid: dict[int, Count]
    distinct_bytes: int
    exclusive_bytes: int


def read_rollup(pid: int, name: str = "smaps_rollup") -> dict[str, int]:
    """Return the rows of a process's smaps_rollup in bytes."""
    with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
        rows = [line.split() for line in file]
    return {row[0][:-1]: int(row[1]) * 1024 for row in rows if len(row) == 3 and row[2] == "kB"}


def read_frames(pid: int) -> list[int]:
    """Return the page frame of every present page of a process, one entry for each mapped page."""
    frames = []
    with open(f"/proc/{pid}/maps", "rb") as maps, open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in maps:
            start, end = (int(part, 16) for part in line.split()[0].split(b"-"))
            if start >> 47:
                continue
            raw = os.pread(pagemap.fileno(), (end - start) // PAGE_BYTES * 8, start // PAGE_BYTES * 8)
            words = struct.unpack(f"<{len(raw) // 8}Q", raw)
            frames += [word & FRAME_MASK for word in words if word & PRESENT]
    return frames


def look_up(path: str, frames: set[int]) -> dict[int, int]:
    """Return the 8-byte word of each frame in /proc/kpagecount or /proc/kpageflags."""
    found = {}
    runs = sorted({frame // RUN_FRAMES for frame in frames})
    with open(path, "rb", buffering=0) as file:
        blocks = {run: os.pread(file.fileno(), RUN_FRAMES * 8, run * RUN_FRAMES * 8) for run in runs}
    for frame in frames:
        block, offset = blocks[frame // RUN_FRAMES], frame % RUN_FRAMES * 8
        found[frame] = struct.unpack_from("<Q", block, offset)[0] if offset + 8 <= len(block) else 0
    return found


def count_tree(parents: dict[int, int | None]) -> TreeCount:
    """Return what each process of a frozen tree maps; `parents` maps pid to the parent's pid, None for the root."""
    everything = {pid: read_frames(pid) for pid in parents}
    known = {frame for frames in everything.values() for frame in frames}
    flags = look_up("/proc/kpageflags", known)
    mapped = {
        pid: [frame for frame in frames if not flags[frame] & (KPF_HUGE | KPF_ZERO_PAGE)]
        for pid, frames in everything.items()
    }
    sets = {pid: set(frames) for pid, frames in mapped.items()}
    known = set().union(*sets.values())
    counts = look_up("/proc/kpagecount", known)
    in_tree = Counter(frame for frames in mapped.values() for frame in frames)
    members = Counter(frame for frames in sets.values() for frame in frames)
    by_pid = {}
    for pid, frames in mapped.items():
        parent_id = parents[pid]
        by_pid[pid] = _count(frames, sets[parent_id] if parent_id else set(), members, counts)
    exclusive = sum(1 for frame in known if in_tree[frame] >= counts[frame])
    return TreeCount(by_pid, len(known) * PAGE_BYTES, exclusive * PAGE_BYTES)


def _count(frames: list[int], parents: set[int], members: Counter[int], counts: dict[int, int]) -> Count:
    """Divide the mapped pages of one process: its own, else its parent's, else a sibling's, else an outsider's."""
    kinds: Counter[str] = Counter()
    pss_bytes = Fraction(0)
    for frame in frames:
        pss_bytes += Fraction(PAGE_BYTES, max(1, counts[frame]))
        if counts[frame] == 1:
            kinds["own"] += 1
        elif frame in parents:
            kinds["parent"] += 1
        elif members[frame] > 1:
            kinds["sibling"] += 1
        else:
            kinds["outside"] += 1
    return Count(
        rss_bytes=len(frames) * PAGE_BYTES,
        pss_bytes=pss_bytes,
        uss_bytes=kinds["own"] * PAGE_BYTES,
        parent_bytes=kinds["parent"] * PAGE_BYTES,
        siblings_bytes=kinds["sibling"] * PAGE_BYTES,
        outside_bytes=kinds["outside"] * PAGE_BYTES,
    )
