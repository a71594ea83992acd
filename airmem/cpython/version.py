"""Which Python a process runs, told by its own sys.version_info."""

from __future__ import annotations

from collections.abc import Iterable

from airmem.cpython.layout import SIZE_OFFSET, WORD_BYTES
from airmem.model.contents import Memory, ProcessKey

VERSION_TYPE = "sys.version_info"
"""tp_name of its type, a tuple of major, minor, micro, release level and serial."""

ITEMS_OFFSET = 24
"""PyTupleObject.ob_item, up to 3.14; since then a cached hash lies before it."""

LATER_ITEMS_OFFSET = 32
DIGIT_OFFSET = 24
"""PyLongObject's first digit, 30 bits in 4 bytes."""

FIELD_COUNT = 5


def read_version(memory: Memory, key: ProcessKey, addresses: Iterable[int]) -> str | None:
    """Return the version, like 3.12.1, from live objects of VERSION_TYPE; None when none of them is one."""
    for address in addresses:
        raw = memory.read(key, address, LATER_ITEMS_OFFSET + FIELD_COUNT * WORD_BYTES)
        for first in (ITEMS_OFFSET, LATER_ITEMS_OFFSET):
            items = [int.from_bytes(raw[at : at + WORD_BYTES], "little") for at in range(first, len(raw), WORD_BYTES)]
            numbers = [_small_int(memory, key, item) for item in items[:3]]
            if len(numbers) == 3 and numbers[0] == 3 and all(one is not None for one in numbers):
                return ".".join(str(one) for one in numbers)
    return None


def _small_int(memory: Memory, key: ProcessKey, address: int) -> int | None:
    """Return a small int's value, None where there is none."""
    raw = memory.read(key, address, DIGIT_OFFSET + 4) if address else b""
    if len(raw) < DIGIT_OFFSET + 4:
        return None
    size = int.from_bytes(raw[SIZE_OFFSET : SIZE_OFFSET + WORD_BYTES], "little")
    digit = int.from_bytes(raw[DIGIT_OFFSET:], "little")
    return digit if size < 1 << 16 and digit < 1 << 16 else None
