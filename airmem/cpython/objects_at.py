"""Objects by their address in a running interpreter: their type's name, texts, and who points at an address.

Only what has been the same since Python 3.3 is used: an object begins with its reference count and its type
(Include/object.h), a type's name is the first word after the head of its variable-size object
(Include/cpython/object.h), and a compact ASCII text stands behind its head (Include/cpython/unicodeobject.h).
64-bit, little endian; interpreters without a GIL have other heads and give no answers here.
"""

from __future__ import annotations

import struct
from typing import Protocol

WORD_BYTES = 8
TYPE_OFFSET = 8
TYPE_NAME_OFFSET = 24
BASIC_SIZE_OFFSET = 32
LONGEST_NAME = 128
ASCII_TEXT_OFFSETS = (40, 48)
"""Where the characters of a compact ASCII text begin: 48 up to 3.11 (with `wstr`), 40 from 3.12 on."""


class Read(Protocol):
    """Reads memory of one process."""

    def __call__(self, address: int, size_bytes: int) -> bytes | None:
        """Return so many bytes, None if they cannot be read."""


class Find(Protocol):
    """Searches the writable private memory of one process."""

    def __call__(self, word: bytes) -> tuple[int, ...]:
        """Return the addresses, multiples of 8, that hold these 8 bytes."""


class Objects:
    """The objects of one process; what was read of types is remembered."""

    def __init__(self, read: Read, find: Find) -> None:
        self.read = read
        self._find = find
        self._names: dict[int, str] = {}

    def word(self, address: int) -> int:
        """Return the 64-bit word at an address, 0 if it cannot be read."""
        raw = self.read(address, WORD_BYTES)
        return int.from_bytes(raw, "little") if raw else 0

    def words(self, address: int, count: int) -> tuple[int, ...]:
        """Return words from an address on, none if they cannot be read."""
        raw = self.read(address, count * WORD_BYTES)
        return struct.unpack(f"<{count}Q", raw) if raw and len(raw) == count * WORD_BYTES else ()

    def type_name(self, address: int) -> str:
        """Return the name of an object's type as C spells it (`_thread.lock`), empty if there is no object."""
        if address % WORD_BYTES or address < 1 << 12:
            return ""
        kind = self.word(address + TYPE_OFFSET)
        if kind not in self._names:
            self._names[kind] = self._read_type_name(kind)
        return self._names[kind]

    def basic_size(self, address: int) -> int:
        """Return the size in bytes that an object's type gives its objects, 0 if unknown."""
        size = self.word(self.word(address + TYPE_OFFSET) + BASIC_SIZE_OFFSET)
        return size if size < 1 << 16 else 0

    def text(self, address: int) -> str:
        """Return a short ASCII text object, empty for anything else."""
        if self.type_name(address) != "str":
            return ""
        length = self.word(address + 16)
        flags = self.word(address + 32)
        is_compact_ascii = bool(flags & 0x20) and bool(flags & 0x40)
        if not (is_compact_ascii and 0 < length < 512):
            return ""
        for offset in ASCII_TEXT_OFFSETS[::-1] if self._is_old_text(address) else ASCII_TEXT_OFFSETS:
            raw = self.read(address + offset, length + 1)
            if raw and raw.endswith(b"\0") and b"\0" not in raw[:-1] and raw.isascii():
                return raw[:-1].decode("ascii")
        return ""

    def find_word(self, word: int) -> tuple[int, ...]:
        """Return every aligned address in the searched memory that holds a word."""
        return self._find(struct.pack("<Q", word))

    def _is_old_text(self, address: int) -> bool:
        """Whether the word after the flags is `wstr` (up to 3.11), which is zero, and not characters."""
        return self.word(address + 40) == 0

    def _read_type_name(self, kind: int) -> str:
        if kind % WORD_BYTES or kind < 1 << 12:
            return ""
        pointer = self.word(kind + TYPE_NAME_OFFSET)
        if pointer < 1 << 12:
            return ""
        size = min(LONGEST_NAME, 4096 - pointer % 4096)
        raw = self.read(pointer, size) or b""
        name = raw.partition(b"\0")[0]
        is_name = bool(name) and len(name) < size and name.isascii() and name.decode("ascii").isprintable()
        return name.decode("ascii") if is_name else ""
