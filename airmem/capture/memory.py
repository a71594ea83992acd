"""Contents of memory from a capture that was made with them. Needs numpy."""

from __future__ import annotations

import numpy as np

from airmem.errors import Malformed
from airmem.units import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER = "airmem/contents/"


class ContentStore:
    """All pages of memory that a capture keeps, found by their place in the order in which they were kept."""

    def __init__(self, members: Mapping[str, bytes], name: str) -> None:
        numbers = sorted(int(path[len(FOLDER) :]) for path in members if path.startswith(FOLDER))
        self._chunks = [members[f"{FOLDER}{number}"] for number in numbers]
        sizes = [len(chunk) for chunk in self._chunks]
        if numbers != list(range(len(numbers))) or any(size % PAGE_BYTES for size in sizes):
            raise Malformed(f"{name}: its contents of memory are damaged", "Make it again.")
        self._ends = np.cumsum(np.array(sizes, np.int64) // PAGE_BYTES)
        self.page_count = int(self._ends[-1]) if sizes else 0

    def page(self, place: int) -> memoryview:
        """Return the bytes of one page."""
        chunk = int(np.searchsorted(self._ends, place, side="right"))
        at = place - (int(self._ends[chunk - 1]) if chunk else 0)
        return memoryview(self._chunks[chunk])[at * PAGE_BYTES : (at + 1) * PAGE_BYTES]


class CapturedMemory:
    """The memory of one process as it was kept (see kernel.source.OpenMemory)."""

    def __init__(self, index: bytes, store: ContentStore, name: str) -> None:
        words = np.frombuffer(index, np.int64) if len(index) % 16 == 0 else None
        if words is None:
            raise Malformed(f"{name}: an index of pages is damaged", "Make it again.")
        pages, places = words[: len(words) // 2], words[len(words) // 2 :]
        if len(places) and not (places.min() >= 0 and places.max() < store.page_count):
            raise Malformed(f"{name}: an index of pages leads out of what was kept", "Make it again.")
        self._places = dict(zip(pages.tolist(), places.tolist(), strict=True))
        self._store = store

    def read(self, address_bytes: int, size_bytes: int) -> bytes | None:
        """Return the bytes at an address, fewer where they end at a page that was not kept."""
        found = b""
        while len(found) < size_bytes:
            page, offset = divmod(address_bytes + len(found), PAGE_BYTES)
            place = self._places.get(page)
            if place is None:
                break
            found += bytes(self._store.page(place)[offset : offset + size_bytes - len(found)])
        return found

    def fill(self, runs: Sequence[tuple[int, int]], target: memoryview) -> list[int] | None:
        """Copy runs of pages (first page number, count) into `target`; return the pages that were not kept."""
        unread = []
        at = 0
        for first, count in runs:
            for page in range(first, first + count):
                place = self._places.get(page)
                if place is None:
                    unread.append(page)
                target[at : at + PAGE_BYTES] = bytes(PAGE_BYTES) if place is None else self._store.page(place)
                at += PAGE_BYTES
        return unread

    def close(self) -> None:
        """Do nothing: it is all in memory."""
