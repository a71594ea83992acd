"""Module-qualified names of types, so that two of the same name are told apart.

A type made in C has its module in tp_name (`collections.OrderedDict`; without one it is of builtins). A class has only
its bare name there: the module is `__module__` in its dictionary, the qualified name in ht_qualname. Sources:
Include/cpython/object.h (PyHeapTypeObject), Include/internal/pycore_dict.h (PyDictKeysObject), Objects/typeobject.c.
"""

from __future__ import annotations

from copy import copy

from airmem.cpython.layout import TP_DICT, WORD_BYTES
from airmem.cpython.types import PythonType
from airmem.model.contents import Memory, ProcessKey

HEAP_NAMES = (848, 856, 864)
"""Where ht_name may lie: behind a PyTypeObject of 408 bytes (3.10, 3.11), 416 (3.12 to 3.14), and the tables of slots.
A place is believed when the name there is the last part of tp_name."""

QUALNAME_AFTER = 16
"""ht_qualname after ht_name and ht_slots."""

TEXT_HEADERS = (40, 48)
"""Where an ASCII str's characters begin: 40 bytes since 3.12, 48 before. The right one reproduces tp_name."""

LENGTH_OFFSET, STATE_OFFSET = 16, 32
IS_COMPACT_ASCII = 0x60
"""Bits 5 and 6 of str's state: compact and ASCII, the same in all versions (bits 0 to 4: interned, kind)."""

LONGEST_TEXT = 512
DICT_KEYS = 32
"""PyDictObject.ma_keys."""

MOST_ENTRIES = 4096
OLD_ENTRIES, ENTRIES = 40, 32
"""Where dk_indices begins: 40 in 3.10, 32 since 3.11."""

GENERAL_ENTRY, TEXT_ENTRY = 24, 16
"""Bytes of an entry: hash, key, value; or key, value where all keys are str (3.11 and later)."""


class TypeNames:
    """Names types of one process; each is looked up once."""

    def __init__(self, memory: Memory, key: ProcessKey) -> None:
        self._memory = memory
        self._key = key
        self._names: dict[int, str] = {}
        self._heap_name: int | None = None
        self._text_header: int | None = None
        self._module_word: int | None = None

    def for_child(self, key: ProcessKey) -> TypeNames:
        """Return one for a forked process, which knows the names found so far."""
        child = copy(self)
        child._key = key
        child._names = dict(self._names)
        return child

    def name(self, one: PythonType) -> str:
        """Return `module.QualifiedName`, as far as it can be read; at least tp_name. Escape it before showing."""
        name = self._names.get(one.address_bytes)
        if name is None:
            name = self._names[one.address_bytes] = self._look(one)
        return name

    def _look(self, one: PythonType) -> str:
        if one.is_static:
            return one.name if "." in one.name else f"builtins.{one.name}"
        qualified = self._qualified_name(one) or one.name.rpartition(".")[2]
        module = self._module(one) or one.name.rpartition(".")[0]
        return f"{module}.{qualified}" if module else one.name

    def _qualified_name(self, one: PythonType) -> str:
        for offset in (self._heap_name,) if self._heap_name is not None else HEAP_NAMES:
            place = one.address_bytes + offset
            bare = self._text(self._word(place), one.name.rpartition(".")[2])
            if bare is not None and bare == one.name.rpartition(".")[2]:
                self._heap_name = offset
                return self._text(self._word(place + QUALNAME_AFTER)) or ""
        return ""

    def _module(self, one: PythonType) -> str:
        if self._text_header is None:
            return ""
        dictionary = self._word(one.address_bytes + TP_DICT)
        value = self._find_module(self._word(dictionary + DICT_KEYS)) if dictionary else 0
        return (self._text(value) or "") if value else ""

    def _find_module(self, keys: int) -> int:
        """Return the address of the value of `__module__` in a dictionary's keys, 0 if there is none."""
        raw = self._memory.read(self._key, keys, OLD_ENTRIES)
        if len(raw) < OLD_ENTRIES:
            return 0
        if (
            raw[9] >= 3 and raw[8] < 64
        ):  # 3.11: the sizes' logarithms; 3.10 has a power of two, at least 8, in this word
            entry = TEXT_ENTRY if raw[10] else GENERAL_ENTRY
            first, count = ENTRIES + (1 << min(raw[9], 63)), int.from_bytes(raw[24:32], "little")
        else:
            size = int.from_bytes(raw[8:16], "little")
            width = 1 if size <= 0xFF else 2 if size <= 0xFFFF else 4
            entry, first, count = GENERAL_ENTRY, OLD_ENTRIES + size * width, int.from_bytes(raw[32:40], "little")
        if not 0 < count <= MOST_ENTRIES or first > 1 << 24:
            return 0
        raw = self._memory.read(self._key, keys + first, count * entry)
        for at in range(entry - TEXT_ENTRY, len(raw) - TEXT_ENTRY + 1, entry):
            word = int.from_bytes(raw[at : at + WORD_BYTES], "little")
            if word == self._module_word or (self._module_word is None and self._text(word) == "__module__"):
                self._module_word = word
                return int.from_bytes(raw[at + WORD_BYTES : at + TEXT_ENTRY], "little")
        return 0

    def _text(self, address: int, known: str | None = None) -> str | None:
        """Return a str's text, None where there is none that can be read; of other than ASCII, with what it holds.

        `known` is a text that it may be equal to, by which the size of a str's header is found.
        """
        raw = self._memory.read(self._key, address, TEXT_HEADERS[-1]) if address else b""
        if len(raw) < TEXT_HEADERS[-1]:
            return None
        length = int.from_bytes(raw[LENGTH_OFFSET : LENGTH_OFFSET + WORD_BYTES], "little")
        state = int.from_bytes(raw[STATE_OFFSET : STATE_OFFSET + 4], "little")
        if not 0 < length <= LONGEST_TEXT or state & IS_COMPACT_ASCII != IS_COMPACT_ASCII:
            return None
        for header in (self._text_header,) if self._text_header is not None else TEXT_HEADERS:
            text = self._memory.read(self._key, address + header, length).decode("latin-1")
            if self._text_header is not None or text == known:
                self._text_header = header
                return text
        return None

    def _word(self, address: int) -> int:
        return int.from_bytes(self._memory.read(self._key, address, WORD_BYTES), "little")
