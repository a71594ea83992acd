"""Finds all type objects of a process from the contents of its pages.

A type is what its own type calls a type: the chain of types ends in the one that is its own type, `type`, and each
type on the way has Py_TPFLAGS_TYPE_SUBCLASS. Without that flag every instance of any class would pass. A class may be
made its own type, too (`cls.__class__ = cls`, as h11 does): it is one if it inherits from a metatype.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from copy import copy

import numpy as np
import numpy.typing as npt

from airmem.cpython.layout import (
    COUNT_LIMIT,
    HAVE_GC,
    HEAP_TYPE,
    HIGHEST_ADDRESS,
    LEAST_IMMORTAL,
    LOWEST_ADDRESS,
    PAGE_SHIFT,
    READY,
    SLOT_BYTES,
    SLOTS_PER_PAGE,
    TP_BASE,
    TP_BASICSIZE,
    TP_FLAGS,
    TP_NAME,
    TYPE_BYTES,
    TYPE_OFFSET,
    TYPE_SUBCLASS,
    WORD_BYTES,
)
from airmem.cpython.objects import scan_objects
from airmem.cpython.pools import outside_pools
from airmem.cpython.types import PythonType, TypeTable, Words
from airmem.errors import NotMeasurable
from airmem.model.contents import Contents, Memory, PageBlock, ProcessKey
from airmem.units import PAGE_BYTES

FIRST_PAGES = 2048
"""So many pages, evenly apart, are looked at for the commonest types: 8 MiB."""

COMMONEST = 256
"""Among so many of the commonest words in the place of a type there is a type, if the memory is CPython's."""

NAME_BYTES = 256
LONGEST_CHAIN = 8
"""Metatypes of metatypes: two in practice."""

MOST_BYTES = 1 << 31
UNKNOWN_PYTHON = (
    "no type object of a CPython that airmem knows (64-bit, with a GIL, 3.10 or later) was found in its memory"
)
REMEDY = "airmem reads the objects of CPython only, not of free-threaded or debug builds, PyPy, or other programs."


class TypeLearner:
    """Reads type objects of one process and remembers which addresses are types and which are not."""

    def __init__(
        self, memory: Memory, key: ProcessKey, type_address_bytes: int, low_addresses: tuple[int, int] = (0, 0)
    ) -> None:
        self._low_addresses = low_addresses
        self._memory = memory
        self._key = key
        self._known: dict[int, PythonType | None] = {}
        self.type_address_bytes = type_address_bytes
        metatype = self._check_layout(type_address_bytes)
        self._known[type_address_bytes] = metatype
        count = _word(memory.read(key, type_address_bytes, WORD_BYTES))
        self.has_count_flags = count >= COUNT_LIMIT

    def for_child(self, key: ProcessKey) -> TypeLearner:
        """Return one for a forked process, which has the same types and learns its own on top."""
        child = copy(self)
        child._key = key
        child._known = dict(self._known)
        return child

    def learn(self, addresses: Iterable[int]) -> tuple[PythonType, ...]:
        """Read what lies at addresses; return those types that were not known."""
        found = []
        for address in addresses:
            if address not in self._known:
                one = self._look(address, 0)
                if one is not None:
                    found.append(one)
        return tuple(found)

    def get(self, address_bytes: int) -> PythonType | None:
        """Return the type at an address, read now if it was not known; None if there is none."""
        if address_bytes not in self._known:
            self._look(address_bytes, 0)
        return self._known[address_bytes]

    def types(self) -> tuple[PythonType, ...]:
        """Return all types known so far."""
        return tuple(one for one in self._known.values() if one is not None)

    def table(self) -> TypeTable:
        """Return all types known so far as a table."""
        return self._table_of(self.types())

    def metatypes(self, types: Iterable[PythonType] | None = None) -> TypeTable:
        """Return those of some types (all known ones) whose instances are types, as a table."""
        some = self.types() if types is None else types
        return self._table_of([one for one in some if one.is_metatype])

    def _table_of(self, types: Sequence[PythonType]) -> TypeTable:
        return TypeTable(
            types,
            type_address_bytes=self.type_address_bytes,
            has_count_flags=self.has_count_flags,
            low_addresses=self._low_addresses,
        )

    def _look(self, address: int, depth: int) -> PythonType | None:
        self._known[address] = None
        if not LOWEST_ADDRESS <= address < HIGHEST_ADDRESS or address % WORD_BYTES:
            return None
        raw = self._memory.read(self._key, address, TYPE_BYTES)
        if len(raw) < TYPE_BYTES:
            return None
        of_type = _word(raw, TYPE_OFFSET)
        if of_type == address and not _word(raw, TP_FLAGS) & TYPE_SUBCLASS:
            return None
        if not self._is_metatype(_word(raw, TP_BASE) if of_type == address else of_type, depth):
            return None
        one = _parse_type(raw, address, self._read_name(_word(raw, TP_NAME)))
        self._known[address] = one
        return one

    def _is_metatype(self, address: int, depth: int) -> bool:
        if depth > LONGEST_CHAIN:
            return False
        if address not in self._known:
            self._look(address, depth + 1)
        metatype = self._known[address]
        return metatype is not None and metatype.is_metatype

    def _read_name(self, address: int) -> str:
        raw = self._memory.read(self._key, address, NAME_BYTES)
        return raw.partition(b"\0")[0].decode("utf-8", "replace")

    def _check_layout(self, address: int) -> PythonType:
        """Return `type`, whose own fields are known, as is its base `object`: a wrong layout ends here."""
        raw = self._memory.read(self._key, address, TYPE_BYTES)
        one = _parse_type(raw, address, self._read_name(_word(raw, TP_NAME))) if len(raw) == TYPE_BYTES else None
        if one is None or one.name != "type" or not one.is_gc or not one.is_static or not one.is_metatype:
            raise NotMeasurable(UNKNOWN_PYTHON, REMEDY)
        raw = self._memory.read(self._key, one.base_address_bytes, TYPE_BYTES)
        base = None
        if len(raw) == TYPE_BYTES and _word(raw, TYPE_OFFSET) == address:
            base = _parse_type(raw, one.base_address_bytes, self._read_name(_word(raw, TP_NAME)))
        if base is None or base.name != "object" or base.basicsize_bytes != SLOT_BYTES or base.base_address_bytes:
            raise NotMeasurable(UNKNOWN_PYTHON, REMEDY)
        return one


def learn_types(contents: Contents, key: ProcessKey, pages: npt.NDArray[np.int64]) -> TypeLearner:
    """Return what knows all types of a process from its anonymous pages (page numbers, ascending).

    Reads those outside of pools of small objects, and a part of the others. Errors: NotMeasurable when they are no
    CPython's that is known; ProcessGone.
    """
    step = max(1, len(pages) // FIRST_PAGES)
    words, counts = _pointers(contents, key, pages[::step])
    common = words[np.argsort(-counts, kind="stable")]
    type_address = _find_type(contents, key, common[:COMMONEST].tolist())
    learner = TypeLearner(contents, key, type_address, _low_addresses(pages))
    learner.learn(common[:COMMONEST].tolist())
    learner.learn(base for one in learner.types() for base in _bases(contents, key, one))
    sweep_types(contents, key, outside_pools(contents, key, pages), learner)
    return learner


def _low_addresses(pages: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Return where the lowest and the highest page below LEAST_IMMORTAL begin and end; (0, 0) without any."""
    low = pages[: np.searchsorted(pages, LEAST_IMMORTAL // PAGE_BYTES)]
    return (int(low[0]) * PAGE_BYTES, (int(low[-1]) + 1) * PAGE_BYTES) if len(low) else (0, 0)


def sweep_types(contents: Contents, key: ProcessKey, pages: npt.NDArray[np.int64], learner: TypeLearner) -> None:
    """Learn all types that lie on these pages: the instances of the metatypes known, and what is its own type."""
    own = [_own_types(block) for block in contents.blocks(key, pages)]
    learner.learn(np.concatenate(own).tolist() if own else [])
    metatypes = learner.metatypes()
    while len(metatypes):
        found: list[npt.NDArray[np.int64]] = []
        for block in contents.blocks(key, pages):
            slots, _ = scan_objects(metatypes, block.words)
            found.append(slot_addresses(block.pages, slots))
        addresses = np.concatenate(found).tolist() if found else []
        metatypes = learner.metatypes(learner.learn(addresses))


def _own_types(block: PageBlock) -> npt.NDArray[np.int64]:
    """Return the addresses of slots of a block whose second word, an object's type, is their own address."""
    slots = np.arange(len(block.words) // 2, dtype=np.int64)
    addresses = slot_addresses(block.pages, slots)
    own: npt.NDArray[np.int64] = addresses[block.words[1::2] == addresses.view(np.uint64)]
    return own


def slot_addresses(pages: npt.NDArray[np.int64], slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the addresses of slots of a block of these pages."""
    return (pages * PAGE_BYTES).take(slots >> PAGE_SHIFT) + (slots & (SLOTS_PER_PAGE - 1)) * SLOT_BYTES


def _pointers(contents: Contents, key: ProcessKey, pages: npt.NDArray[np.int64]) -> tuple[Words, npt.NDArray[np.int64]]:
    """Return the distinct words where objects of these pages would have their types, ascending, and their numbers."""
    found = [np.empty(0, np.uint64)]
    limit = np.uint64(COUNT_LIMIT - 1)
    for block in contents.blocks(key, pages):
        # the lowest half of the count alone, so that those with flags above it (3.14) are seen too
        counts = block.words[0::2] & limit
        types = block.words[1::2]
        is_one = (counts > 0) & (types >= np.uint64(LOWEST_ADDRESS)) & (types < np.uint64(HIGHEST_ADDRESS))
        found.append(types[is_one & (types % np.uint64(WORD_BYTES) == 0)])
    words, counts_of = np.unique(np.concatenate(found), return_counts=True)
    return words, counts_of.astype(np.int64)


def _find_type(memory: Memory, key: ProcessKey, words: list[int]) -> int:
    """Return the address of `type`: where the chain of types from any object ends."""
    for word in words:
        chain = [word]
        for _ in range(LONGEST_CHAIN):
            above = _word(memory.read(key, chain[-1] + TYPE_OFFSET, WORD_BYTES))
            if above == chain[-1]:
                flags = _word(memory.read(key, above + TP_FLAGS, WORD_BYTES))
                if flags & TYPE_SUBCLASS and flags & HAVE_GC and not flags & HEAP_TYPE:
                    return above
                break
            if not LOWEST_ADDRESS <= above < HIGHEST_ADDRESS or above % WORD_BYTES:
                break
            chain.append(above)
    raise NotMeasurable(UNKNOWN_PYTHON, REMEDY)


def _bases(memory: Memory, key: ProcessKey, one: PythonType) -> Iterator[int]:
    """Return the addresses of a type's bases, up to `object`."""
    base = one.base_address_bytes
    for _ in range(NAME_BYTES):
        if not base:
            return
        yield base
        base = _word(memory.read(key, base + TP_BASE, WORD_BYTES))


def _parse_type(raw: bytes, address: int, name: str) -> PythonType | None:
    flags = _word(raw, TP_FLAGS)
    basicsize_bytes, itemsize_bytes = struct.unpack_from("<qq", raw, TP_BASICSIZE)
    is_sane = 0 <= basicsize_bytes < MOST_BYTES and 0 <= itemsize_bytes < MOST_BYTES
    if not (flags & READY and name and is_sane and _word(raw) & (COUNT_LIMIT - 1)):
        return None
    return PythonType(
        address_bytes=address,
        metatype_address_bytes=_word(raw, TYPE_OFFSET),
        base_address_bytes=_word(raw, TP_BASE),
        name=name,
        flags=flags,
        basicsize_bytes=basicsize_bytes,
        itemsize_bytes=itemsize_bytes,
    )


def _word(raw: bytes, at: int = 0) -> int:
    """Return a word of what was read, 0 beyond its end."""
    return int.from_bytes(raw[at : at + WORD_BYTES], "little")
