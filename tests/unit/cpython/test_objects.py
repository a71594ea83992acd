"""What is a live object, and what only looks like one."""

from __future__ import annotations

import pytest

from airmem.cpython.objects import scan_objects
from airmem.cpython.sizes import ItemSizes
from tests.unit.cpython.memory import KEY, MadeMemory, make_table, make_type

TYPE, TUPLE, PLAIN = 0x7F0000100000, 0x7F0000100200, 0x7F0000100400
TYPES = (
    make_type(TYPE, "thing", size=48),
    make_type(TUPLE, "tuple", size=24, item=8),
    make_type(PLAIN, "object", size=16),
)
FIRST_PAGE = 0x7F1000000


def objects_of(memory, **more):
    table = make_table(*TYPES, **more)
    (block,) = memory.blocks(KEY, memory.pages)
    slots, numbers = scan_objects(table, block.words)
    return [(int(slot) * 16, table.types[number].name) for slot, number in zip(slots, numbers, strict=True)]


@pytest.mark.parametrize(
    ("count", "is_live"),
    [(1, True), (2**32 - 1, True), (3 << 30, True), (0, False), (2**32, False), (0x7F1000000040, False)],
)
def test_the_count_tells_a_live_object(count, is_live):
    memory = MadeMemory(FIRST_PAGE, 1)
    memory.write(memory.first + 64, count, TYPE)
    assert objects_of(memory) == ([(64, "thing")] if is_live else [])


def test_flags_above_the_count_are_left_out_where_there_are_any():
    memory = MadeMemory(FIRST_PAGE, 1)
    memory.write(memory.first + 64, 5 << 48 | 3 << 30, TYPE)
    assert objects_of(memory) == []
    assert objects_of(memory, has_count_flags=True) == [(64, "thing")]


def test_a_tuple_of_types_is_one_object():
    memory = MadeMemory(FIRST_PAGE, 1)
    memory.write(memory.first + 64, 1, TUPLE, 3, TYPE, TYPE, TYPE)
    assert objects_of(memory) == [(64, "tuple")]


def test_two_objects_may_lie_slot_by_slot():
    memory = MadeMemory(FIRST_PAGE, 1)
    memory.write(memory.first + 64, 1, PLAIN, 1, PLAIN)
    assert objects_of(memory) == [(64, "object"), (80, "object")]


def test_a_small_pointer_is_no_count():
    memory = MadeMemory(FIRST_PAGE, 1)
    memory.write(memory.first + 64, 1, TUPLE, 4, 0x7F0000, 0x900000, TYPE)
    assert objects_of(memory) == [(64, "tuple"), (96, "thing")]
    assert objects_of(memory, low=(0x400000, 0x1000000)) == [(64, "tuple")]
    memory.write(memory.first + 256, 2**32 - 1, TYPE)
    assert objects_of(memory, low=(0x400000, 0x1000000)) == [(64, "tuple"), (256, "thing")]


def test_items_are_counted_and_a_size_on_a_page_that_is_not_there_is_not_made_up():
    memory = MadeMemory(FIRST_PAGE, 3)
    memory.write(memory.first + 64, 1, TUPLE, 5)
    memory.write(memory.first + 4096 - 16, 1, TUPLE, 7)
    memory.write(memory.first + 3 * 4096 - 16, 1, TUPLE)
    table = make_table(*TYPES)
    sizes = ItemSizes(table)
    (whole,) = memory.blocks(KEY, memory.pages, size=3)
    _, found = sizes.find(whole, *scan_objects(table, whole.words))
    assert found.tolist() == [40, 56]
    (apart,) = memory.blocks(KEY, memory.pages[[0, 2]])
    _, found = sizes.find(apart, *scan_objects(table, apart.words))
    assert found.tolist() == [40]
