"""Memory made here: a few pages of words, handed out as model.contents says."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from airmem.cpython.types import PythonType, TypeTable
from airmem.model.contents import PageBlock, ProcessKey
from airmem.units import PAGE_BYTES

KEY: ProcessKey = (1, 2)
WORDS = PAGE_BYTES // 8
HAVE_GC, READY = 1 << 14, 1 << 12


class MadeMemory:
    """Pages of zeros at an address, written word by word."""

    def __init__(self, first_page: int, page_count: int) -> None:
        self.first = first_page * PAGE_BYTES
        self._bytes = bytearray(page_count * PAGE_BYTES)
        self.words = np.frombuffer(self._bytes, np.uint64)
        self.pages = np.arange(first_page, first_page + page_count, dtype=np.int64)

    def write(self, address: int, *words: int) -> None:
        struct.pack_into(f"<{len(words)}Q", self._bytes, address - self.first, *words)

    def read(self, key: ProcessKey, address_bytes: int, size_bytes: int) -> bytes:
        assert key == KEY
        start = address_bytes - self.first
        return bytes(self._bytes[start : start + size_bytes]) if start >= 0 else b""

    def fill(
        self, key: ProcessKey, pages: npt.NDArray[np.int64], words: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.bool_]:
        assert key == KEY
        for at, page in enumerate(pages.tolist()):
            start = (page - int(self.pages[0])) * WORDS
            words[at * WORDS : (at + 1) * WORDS] = self.words[start : start + WORDS]
        return np.ones(len(pages), np.bool_)

    def blocks(self, key: ProcessKey, pages: npt.NDArray[np.int64], size: int = 2) -> Iterator[PageBlock]:
        for first in range(0, len(pages), size):
            some = pages[first : first + size]
            words = np.empty(len(some) * WORDS, np.uint64)
            yield PageBlock(pages=some, words=words, is_read=self.fill(key, some, words))


def make_type(address: int, name: str, flags: int = HAVE_GC | READY, size: int = 32, item: int = 0) -> PythonType:
    """Return a type that lies anywhere."""
    return PythonType(
        address_bytes=address,
        metatype_address_bytes=1 << 20,
        base_address_bytes=0,
        name=name,
        flags=flags,
        basicsize_bytes=size,
        itemsize_bytes=item,
    )


def make_table(*types: PythonType, has_count_flags: bool = False, low: tuple[int, int] = (0, 0)) -> TypeTable:
    """Return a table of types."""
    return TypeTable(types, type_address_bytes=1 << 20, has_count_flags=has_count_flags, low_addresses=low)
