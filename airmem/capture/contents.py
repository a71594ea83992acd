"""Contents of private memory for a capture, with numpy: only when they were asked for by name (capture --contents).

A page that several processes map is kept once: told by its frame, or by its bytes where frames are hidden. Members
`airmem/contents/N` hold the pages one after the other, in the order of N; `airmem/PID.pages` holds words of 8 bytes:
the page numbers of a process, ascending, then for each of them its place among all pages kept.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from airmem.capture.frames import DEVICE_FRAMES, FRAME_MASK, PAGE_BYTES
from airmem.capture.pages import NumpyFrames
from airmem.errors import NotPermitted, ProcessGone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

CHUNK_PAGES = 1024
DIGEST_BYTES = 16
WORDS_PER_PAGE = PAGE_BYTES // 8
NOWHERE = -1

Pages: TypeAlias = "npt.NDArray[np.int64]"
ReadPages: TypeAlias = "Callable[[int, Pages, npt.NDArray[np.uint64]], npt.NDArray[np.bool_]]"
"""(pid, page numbers ascending, words to fill) -> which could be read; raises NotPermitted, ProcessGone."""


class ContentFrames(NumpyFrames):
    """Page tables as NumpyFrames keeps them, and the contents of all present pages of private mappings."""

    def __init__(self, read_pages: ReadPages, shows_frames: bool) -> None:
        self._read_pages = read_pages
        self._shows_frames = shows_frames
        self._places = np.full(1 << 16, NOWHERE, np.int64)  # by new frame number
        self._by_digest: dict[bytes, int] = {}
        self._kept_count = 0
        self._chunk_count = 0
        super().__init__()

    @property
    def kept_bytes(self) -> int:
        """How many bytes of contents were kept so far."""
        return self._kept_count * PAGE_BYTES

    def renumber(self, words: bytes) -> bytes:
        """Return words of pagemap with new frame numbers, none where the kernel hides them."""
        if self._shows_frames:
            return super().renumber(words)
        hidden: bytes = (np.frombuffer(words, np.uint64) & ~np.uint64(FRAME_MASK)).tobytes()
        return hidden

    def add_table(self, sink: Any, reads: Any, pid: int) -> list[tuple[int, int]]:
        """Put the page table and the contents of a process into the sink; return the table's runs."""
        runs: list[tuple[int, int]] = super().add_table(sink, reads, pid)
        if not runs:
            return runs
        pages, frames = self._choose(runs)
        try:
            places = self._by_frame(sink, pid, pages, frames) if self._shows_frames else self._all(sink, pid, pages)
        except NotPermitted:
            reads.errors["mem"] = errno.EACCES
        except ProcessGone:
            reads.errors["mem"] = errno.ESRCH
        else:
            known = places != NOWHERE
            sink.add(f"airmem/{pid}.pages", pages[known].tobytes(), places[known].tobytes())
        return runs

    def add_counts(self, sink: Any) -> None:
        """Capture how often each frame is mapped, and its flags, where the kernel shows them."""
        super().add_counts(sink)
        if self._shows_frames and (flags := self._flags()):
            sink.add("proc/kpageflags", flags)

    def _table(self, pid: int, maps: bytes) -> tuple[list[tuple[int, int]], list[bytes]]:
        runs, blocks = super()._table(pid, maps)
        self._maps, self._words = maps, np.frombuffer(b"".join(blocks), np.uint64)
        return runs, blocks

    def _choose(self, runs: list[tuple[int, int]]) -> tuple[Pages, Pages]:
        """Return the present pages of private mappings, and their new frame numbers."""
        pages = np.concatenate([np.arange(first, first + count, dtype=np.int64) for first, count in runs])
        frames = (self._words & np.uint64(FRAME_MASK)).astype(np.int64)
        keep = (self._words.view(np.int64) < 0) & (frames < DEVICE_FRAMES) & _is_private(pages, self._maps)
        for first, count in self.zero_frames:
            keep &= (frames < first) | (frames >= first + count)
        return pages[keep], frames[keep]

    def _by_frame(self, sink: Any, pid: int, pages: Pages, frames: Pages) -> Pages:
        """Keep the pages whose frames were not kept yet; return the place of each page."""
        if len(frames) and (highest := int(frames.max())) >= len(self._places):
            grown = np.full(max(highest + 1, 2 * len(self._places)), NOWHERE, np.int64)
            grown[: len(self._places)] = self._places
            self._places = grown
        fresh = np.flatnonzero(self._places[frames] == NOWHERE)
        fresh = fresh[np.sort(np.unique(frames[fresh], return_index=True)[1])]
        for begin in range(0, len(fresh), CHUNK_PAGES):
            some = fresh[begin : begin + CHUNK_PAGES]
            words, is_read = self._read(pid, pages[some])
            self._places[frames[some[is_read]]] = self._keep(sink, words[is_read])
        return self._places[frames]

    def _all(self, sink: Any, pid: int, pages: Pages) -> Pages:
        """Keep the pages whose bytes were not kept yet; return the place of each page."""
        places = np.full(len(pages), NOWHERE, np.int64)
        for begin in range(0, len(pages), CHUNK_PAGES):
            words, is_read = self._read(pid, pages[begin : begin + CHUNK_PAGES])
            fresh: list[int] = []
            for at in np.flatnonzero(is_read).tolist():
                digest = blake2b(words[at].data, digest_size=DIGEST_BYTES).digest()
                place = self._by_digest.setdefault(digest, self._kept_count + len(fresh))
                if place == self._kept_count + len(fresh):
                    fresh.append(at)
                places[begin + at] = place
            self._keep(sink, words[fresh])
        return places

    def _read(self, pid: int, pages: Pages) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
        words = np.empty(len(pages) * WORDS_PER_PAGE, np.uint64)
        is_read = self._read_pages(pid, pages, words)
        return words.reshape(-1, WORDS_PER_PAGE), is_read

    def _keep(self, sink: Any, words: npt.NDArray[np.uint64]) -> Pages:
        """Put pages into the sink; return their places."""
        first = self._kept_count
        if len(words):
            sink.add(f"airmem/contents/{self._chunk_count}", words.tobytes())
            self._chunk_count += 1
            self._kept_count += len(words)
        return np.arange(first, self._kept_count, dtype=np.int64)

    def _flags(self) -> bytes:
        try:
            return self._by_number("/proc/kpageflags")
        except OSError:
            return b""


def _is_private(pages: Pages, maps: bytes) -> npt.NDArray[np.bool_]:
    """Tell which pages lie in private mappings."""
    ends, private = [], []
    for line in maps.splitlines():
        addresses, permissions = line.split(None, 2)[:2]
        ends.append(int(addresses.partition(b"-")[2], 16) // PAGE_BYTES)
        private.append(permissions[3:4] == b"p")
    at = np.searchsorted(np.array(ends, np.int64), pages, side="right")
    inside: npt.NDArray[np.bool_] = np.array([*private, False], np.bool_)[at]
    return inside
