"""How many items wait in a queue.SimpleQueue (Modules/_queuemodule.c): a list up to 3.12, then a ring."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.cpython.objects_at import Objects

QUEUE_TYPE = "_queue.SimpleQueue"
LIST, POSITION = 4, 5
RING_CAPACITY, RING_COUNT = 6, 7
LENGTH_OFFSET = 16


def count_queued(objects: Objects, address: int) -> int | None:
    """Return the number of items in the queue at an address, None if there is no queue whose layout is known."""
    if objects.type_name(address) != QUEUE_TYPE:
        return None
    words = objects.words(address, 8)
    if not words:
        return None
    if objects.type_name(words[LIST]) == "list":
        count = objects.word(words[LIST] + LENGTH_OFFSET) - words[POSITION]
        return count if count >= 0 else None
    capacity, count = words[RING_CAPACITY], words[RING_COUNT]
    return count if 0 < capacity < 1 << 32 and count <= capacity else None
