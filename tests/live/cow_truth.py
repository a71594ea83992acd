"""Who copied which inherited pages, told by page frames before and after each step; nothing of airmem's.

airmem looks once, afterwards; this looks before the fork, and again after every step. An anonymous page that the
parent had before the fork was copied by whoever has another frame at that address now: the kernel gives a writer a
fresh frame and leaves the original to the others (mm/memory.c, wp_page_copy), unless nobody else has it any more.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass, field

from tests.live.oracle import FRAME_MASK, KPF_ZERO_PAGE, PAGE_BYTES, PRESENT, look_up
from tests.live.tree import Target

FILE_OR_SHARED = 1 << 61
KNOWN: dict[int, bool] = {}
"""Page frame -> whether it is a zero page, which an ordinary page never becomes."""

Frames = dict[int, int]
"""Page number (address / page size) -> page frame, of present anonymous pages."""


@dataclass
class Truth:
    """What a process copied since it was forked, in pages by their number."""

    inherited: set[int] = field(default_factory=set)
    shared: set[int] = field(default_factory=set)
    copied: set[int] = field(default_factory=set)
    copied_by_parent: set[int] = field(default_factory=set)


def read_anonymous(pid: int) -> Frames:
    """Return the frames of a process's present anonymous pages, the zero page left out."""
    found: Frames = {}
    words = array("Q")
    with open(f"/proc/{pid}/maps", "rb") as maps, open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in maps:
            start, end = (int(part, 16) // PAGE_BYTES for part in line.split()[0].split(b"-"))
            if start * PAGE_BYTES >> 47:
                continue
            words[:] = array("Q", os.pread(pagemap.fileno(), (end - start) * 8, start * 8))
            for page, word in enumerate(words, start):
                if word >= PRESENT and not word & FILE_OR_SHARED:
                    found[page] = word & FRAME_MASK
    zero = zero_frames(set(found.values()))
    return {page: frame for page, frame in found.items() if frame not in zero}


def zero_frames(frames: set[int]) -> set[int]:
    """Return which frames are zero pages; what a frame was found to be is remembered."""
    unknown = frames - KNOWN.keys()
    KNOWN.update({frame: bool(word & KPF_ZERO_PAGE) for frame, word in look_up("/proc/kpageflags", unknown).items()})
    return {frame for frame in frames if KNOWN[frame]}


def read_tree(target: Target) -> dict[int, Frames]:
    """Return the anonymous pages of every process of a tree."""
    return {pid: read_anonymous(pid) for pid in target.tree}


def tell(originals: Frames, parent: Frames, child: Frames) -> Truth:
    """Return what a child copied; `originals` are the parent's pages right before the fork.

    Pages that either of the two has no longer are left out, like those that the parent got only since.
    """
    truth = Truth(inherited={page for page in originals if page in parent and page in child})
    for page in truth.inherited:
        if child[page] == parent[page]:
            truth.shared.add(page)
        elif child[page] != originals[page]:
            truth.copied.add(page)
        else:
            truth.copied_by_parent.add(page)
    return truth


def changed(before: Frames, after: Frames) -> set[int]:
    """Return the pages that got another frame in a step."""
    return {page for page, frame in before.items() if after.get(page, frame) != frame}


def in_bytes(pages: set[int]) -> int:
    """Return how much memory so many pages are."""
    return len(pages) * PAGE_BYTES


def heap_ranges(pid: int) -> list[str]:
    """Return the parts of a process's unnamed writable mappings that huge pages can hold, `START-END`."""
    huge_bytes = 2 << 20
    found = []
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            words = line.split()
            if len(words) == 5 and words[1] == "rw-p":
                start, end = (int(part, 16) for part in words[0].split("-"))
                start, end = -(-start // huge_bytes) * huge_bytes, end // huge_bytes * huge_bytes
                if end > start:
                    found.append(f"{start:x}-{end:x}")
    return found
