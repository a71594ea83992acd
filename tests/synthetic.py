"""Made-up page tables and reports with known numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from airmem.model.cgroup import CgroupMemory
from airmem.model.mapping import Mapping
from airmem.model.memory import MemoryAccount
from airmem.model.pages import FRAME_MASK, PRESENT, SWAPPED, PageTable
from airmem.model.process import FORKED_WITHOUT_EXEC, Process
from airmem.model.report import Head, ProcessRow, PssReport
from airmem.model.snapshot import Host
from airmem.units import PAGE_BYTES

Pages = dict[int, int]
"""Page number -> the word of pagemap."""

ZERO_FRAMES = ((1000, 1), (2048, 512))
DEVICE_FRAME = 1 << 40
EXCLUSIVE, FILE, SOFT_DIRTY = 1 << 56, 1 << 61, 1 << 55


def present(frame: int, bits: int = 0) -> int:
    """Return the word of a resident page."""
    return PRESENT | bits | frame


def swapped(place: int) -> int:
    """Return the word of a page that is swapped out."""
    return SWAPPED | place


def pages(start: int, *frames: int) -> Pages:
    """Return resident pages from a page number on; frame 0 leaves a hole."""
    return {start + offset: present(frame) for offset, frame in enumerate(frames) if frame}


def counted_frames(table: Pages, zero_frames: tuple[tuple[int, int], ...] = ZERO_FRAMES) -> list[int]:
    """Return the frame of every page that an RSS counts, once for each page."""
    frames = [word & FRAME_MASK for word in table.values() if word & PRESENT]
    zero = {frame for first, count in zero_frames for frame in range(first, first + count)}
    return [frame for frame in frames if frame not in zero and frame < DEVICE_FRAME]


@dataclass
class Tables:
    """Page tables of a tree held in memory, with accounts that count them as the kernel does.

    `outsiders` counts mappings of frames by processes outside the tree. A list of tables for one process is what
    successive reads of its own maps return, the last one for ever. None cannot be read. With `tells_alone` bit 56 of the
    words says, as the kernel's does, that a page is mapped only once.
    """

    processes: list[Pages | list[Pages] | None]
    outsiders: Counter[int] = field(default_factory=Counter)
    zero_frames: tuple[tuple[int, int], ...] = ZERO_FRAMES
    largest_gap: int = 2
    counts: bool = True
    tells_alone: bool = False
    reads: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Count all mappings once."""
        self.mappings = Counter(self.outsiders)
        for position in range(len(self.processes)):
            self.mappings.update(counted_frames(self.final(position), self.zero_frames))

    def final(self, position: int) -> Pages:
        """Return what a process maps in the end."""
        states = self.processes[position]
        return (states[-1] if isinstance(states, list) else states) or {}

    def account(self, position: int) -> MemoryAccount:
        """Return the kernel's count of a process in its final state."""
        frames = counted_frames(self.final(position), self.zero_frames)
        private = sum(self.mappings[frame] == 1 for frame in frames)
        return MemoryAccount(
            rss_bytes=len(frames) * PAGE_BYTES,
            private_clean_bytes=0,
            private_dirty_bytes=private * PAGE_BYTES,
            pss_bytes=int(sum(PAGE_BYTES / self.mappings[frame] for frame in frames)),
        )

    def read(self, position: int, like: PageTable | None) -> PageTable | None:
        """Return the page table of a process."""
        self.reads.append((position, "own" if like is None else "like"))
        if self.processes[position] is None:
            return None
        states = self.processes[position]
        looks = sum(one[0] == position for one in self.reads) - 1
        table = states[min(looks, len(states) - 1)] if isinstance(states, list) else states
        assert table is not None
        runs = like.runs if like is not None else self.runs(table)
        return self._table(position, table, runs, like is None)

    def complete(self, position: int, table: PageTable) -> PageTable | None:
        """Return a table with what the process maps beyond it."""
        self.reads.append((position, "more"))
        states = self.final(position)
        known = {page for first, count in table.runs for page in range(first, first + count)}
        runs = self.runs({**states, **dict.fromkeys(known, 0)})
        return self._table(position, states, runs, True)

    def release(self, table: PageTable) -> None:
        table.words[:] = np.uint64(0xDEAD)  # whoever still reads it gets nonsense

    def mapping_counts(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        """Return how often frames are mapped in all."""
        assert np.all(np.diff(frames) > 0)
        return np.array([self.mappings[int(frame)] for frame in frames], np.int64) if self.counts else None

    def runs(self, table: Pages) -> tuple[tuple[int, int], ...]:
        """Return runs that cover the pages, near ones together."""
        runs: list[list[int]] = []
        for page in sorted(table):
            if runs and page - runs[-1][1] <= self.largest_gap:
                runs[-1][1] = page + 1
            else:
                runs.append([page, page + 1])
        return tuple((first, end - first) for first, end in runs)

    def _table(
        self, position: int, table: Pages, runs: tuple[tuple[int, int], ...], is_complete: bool
    ) -> PageTable | None:
        words = [self._word(table.get(page, 0)) for first, count in runs for page in range(first, first + count)]
        return PageTable(
            runs=runs,
            words=np.array(words, np.uint64),
            is_complete=is_complete,
            account=self.account(position),
        )

    def _word(self, word: int) -> int:
        is_alone = self.tells_alone and word & PRESENT and self.mappings[word & FRAME_MASK] == 1
        return word | EXCLUSIVE if is_alone else word


def make_process(pid: int, parent_pid: int = 1, **more: Any) -> Process:
    """Return a process with the given fields and unremarkable others."""
    fields: dict[str, Any] = {
        "start_ticks": 100 + pid,
        "command": "python",
        "state": "S",
        "session_id": 1,
        "flags": FORKED_WITHOUT_EXEC,
        "thread_count": 1,
        "rss_pages": 0,
        "arguments": ("python", "app.py"),
        **more,
    }
    return Process(pid=pid, parent_pid=parent_pid, **fields)


def make_account(rss: int | None = None, pss: int | None = None, uss: int | None = None, **more: Any) -> MemoryAccount:
    """Return an account in bytes, its USS all dirty."""
    return MemoryAccount(
        rss_bytes=rss, pss_bytes=pss, private_clean_bytes=None if uss is None else 0, private_dirty_bytes=uss, **more
    )


def make_row(pid: int, parent_pid: int = 1, *, role: str = "worker", **more: Any) -> ProcessRow:
    """Return a row; fields of the row by name, those of its process in `process`."""
    fields: dict[str, Any] = {
        "depth": "rollup",
        "component": None,
        "account": make_account(1000, 100, 10),
        "sharing": None,
        "user_id": None,
        **more,
    }
    process = make_process(pid, parent_pid, **fields.pop("process", {}))
    return ProcessRow(process=process, role=role, **fields)


def make_cgroup(**more: Any) -> CgroupMemory:
    """Return the account of a control group; what is not given is unknown."""
    fields: dict[str, Any] = dict.fromkeys(CgroupMemory.__slots__)
    return CgroupMemory(**{**fields, "version": 2, "path": "/app", **more})


def make_mapping(start: int, end: int, *, name: str = "", permissions: str = "rw-p", **sizes: Any) -> Mapping:
    """Return a mapping of whole pages with an account in bytes."""
    account = {"rss_bytes": end - start, "pss_bytes": end - start, "shared_clean_bytes": 0, "shared_dirty_bytes": 0,
               "private_clean_bytes": 0, "private_dirty_bytes": end - start, **sizes}  # fmt: skip
    return Mapping(
        start_address=start,
        end_address=end,
        permissions=permissions,
        inode=0,
        name=name,
        is_hugetlb=False,
        account=MemoryAccount(**account),
    )


def make_report(*rows: ProcessRow, **more: Any) -> PssReport:
    """Return an answer over the given rows, taken at a fixed time on a made-up host."""
    from airmem.analysis.totals import sum_tree

    host = Host(boot_id="b", hostname="host-1", kernel="6.1.0", pid_namespace="pid:[1]", container_id="")
    fields: dict[str, Any] = {
        "depth": "rollup",
        "component": None,
        "tree": sum_tree(rows, None, None, None, missed=False),
        "cgroup": None,
        "processes": rows,
        "gaps": (),
        "findings": (),
        **more,
    }
    head = Head(command="pss", taken_at_seconds=1_700_000_000.5, took_seconds=0.0123456789, host=host)
    return PssReport(head=head, **fields)
