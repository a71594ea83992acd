"""Heads, lists and the collector's state, in memory made here: every form, and what must not pass for one."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from airmem.cpython.collector import FORMS, FROZEN, NO_LIST, find_collectors, read_counters
from airmem.cpython.heads import HeadList, check_lists, complete_heads
from airmem.cpython.objects import scan_objects
from tests.unit.cpython.memory import KEY, WORDS, MadeMemory, make_table, make_type

TYPE = 0x7F0000100000
FIRST_PAGE = 0x7F1000000
STATE_PAGE = 8
"""The collector's state lies on this page of the memory; objects lie before it."""


class Heap(MadeMemory):
    """Objects with heads on lists through the sentinels of one form."""

    def __init__(self, form):
        super().__init__(FIRST_PAGE, STATE_PAGE + 1)
        self.form = form
        self.state = self.first + STATE_PAGE * 4096 + 512
        self.lists = {0: [], 1: [], 2: [], FROZEN: []}

    def sentinel(self, number):
        return self.state + (self.form.frozen if number == FROZEN else 24 * number)

    def add(self, number, head):
        self.lists[number].append(head)
        self.write(head + 16, 1, TYPE)
        return head

    def link(self):
        for number, heads in self.lists.items():
            ring = [self.sentinel(number), *heads]
            for at, head in enumerate(ring):
                self.write(head, ring[(at + 1) % len(ring)], ring[at - 1])
        if self.form.first_pointer is not None:
            self.write(self.state + self.form.first_pointer, self.state)

    def look(self, pages=None):
        table = make_table(make_type(TYPE, "thing"))
        collected = HeadList(table)
        for block in self.blocks(KEY, self.pages[:STATE_PAGE] if pages is None else pages):
            collected.add(block, *scan_objects(table, block.words))
        return collected.finish()


class Learner:
    """Knows the one type."""

    def get(self, address):
        return make_type(TYPE, "thing") if address == TYPE else None


@pytest.fixture(params=FORMS, ids=lambda form: form.name)
def heap(request):
    heap = Heap(request.param)
    for number in range(40):
        heap.add((0, 1, 2, 2, FROZEN)[number % 5], heap.first + 96 * number)
    heap.add(2, heap.first + 2 * 4096 - 16)  # a head at the end of a page, and of a block; its object on the next one
    heap.add(2, heap.first + 4 * 4096 - 16)
    heap.link()
    return heap


def test_every_object_is_on_its_list(heap):
    heads = heap.look()
    links = check_lists(heads)
    assert links.is_tracked.all()
    lists = find_collectors(heap, KEY, heads, links)
    (collector,) = lists.collectors
    assert collector.form == heap.form
    assert collector.sentinels == tuple(heap.sentinel(number) for number in (0, 1, 2, FROZEN))
    assert collector.object_counts == (8, 8, 18, 8)
    assert lists.unexplained_count == 0
    for number, members in heap.lists.items():
        assert heads.addresses[lists.list_of == number].tolist() == sorted(members)


def test_left_over_heads_are_not_tracked(heap):
    heap.write(heap.first + 5 * 4096, heap.first, heap.first + 96, 1, TYPE)
    heads = heap.look()
    links = check_lists(heads)
    assert heads.addresses[~links.is_tracked].tolist() == [heap.first + 5 * 4096]
    assert find_collectors(heap, KEY, heads, links).list_of[~links.is_tracked].tolist() == [NO_LIST]


def test_flags_in_the_lowest_bits_are_left_out(heap):
    for heads in heap.lists.values():
        for head in heads:
            at = (head - heap.first) // 8
            heap.words[at : at + 2] |= np.uint64(1)
    heads = heap.look()
    assert check_lists(heads).is_tracked.all()


def test_objects_that_no_page_showed_are_walked_to(heap):
    hidden = heap.add(2, heap.first + 6 * 4096 + 64)
    other = heap.add(2, heap.first + 6 * 4096 + 192)
    heap.add(2, heap.first + 7 * 4096)
    heap.link()
    heads = heap.look(heap.pages[[0, 1, 2, 3, 4, 5, 7]])
    links = check_lists(heads)
    assert hidden not in heads.addresses
    whole = complete_heads(heap, KEY, Learner(), heads, links)
    assert set(whole.addresses.tolist()) - set(heads.addresses.tolist()) == {hidden, other}
    lists = find_collectors(heap, KEY, whole, check_lists(whole))
    assert lists.collectors[0].object_counts == (8, 8, 21, 8)


def test_a_state_whose_sentinel_is_not_pointed_back_at_is_none(heap):
    at = (heap.sentinel(1) - heap.first) // 8
    heap.words[at + 1] += np.uint64(16)
    heads = heap.look()
    lists = find_collectors(heap, KEY, heads, check_lists(heads))
    assert lists.collectors == ()
    assert (lists.list_of == NO_LIST).all()
    assert lists.unexplained_count == len(heads)


def test_counters_are_read_or_unknown(heap):
    heads = heap.look()
    (collector,) = find_collectors(heap, KEY, heads, check_lists(heads)).collectors
    if heap.form.has_rings:
        rings = heap.first + STATE_PAGE * 4096 + 1024
        heap.write(heap.state + heap.form.counters, rings)
        for place, count in ((0, 30), (64, 31), (712, 4), (912, 2)):
            heap.write(rings + place + 16, count)
        expected = (31, 4, 2)
    else:
        for number, count in enumerate((31, 4, 2)):
            heap.write(heap.state + heap.form.counters + 24 * number, count)
        expected = (31, 4, 2)
    assert read_counters(heap, KEY, collector).collections == expected
    heap.write(heap.state + heap.form.collecting, struct.unpack("<Q", struct.pack("<ii", 1, 0))[0])
    assert read_counters(heap, KEY, collector).is_collecting
    heap.write(heap.state + heap.form.counters, 1 << 62)
    assert read_counters(heap, KEY, collector).collections is None


def test_nothing_is_nothing():
    memory = MadeMemory(FIRST_PAGE, 1)
    table = make_table(make_type(TYPE, "thing"))
    collected = HeadList(table)
    for block in memory.blocks(KEY, memory.pages):
        assert len(block.words) == WORDS
        collected.add(block, *scan_objects(table, block.words))
    heads = collected.finish()
    links = check_lists(heads)
    assert complete_heads(memory, KEY, Learner(), heads, links) is heads
    assert find_collectors(memory, KEY, heads, links).collectors == ()
