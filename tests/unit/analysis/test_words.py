"""What changed in copied pages, on made-up pages with objects of known types."""

from __future__ import annotations

import numpy as np
import pytest

from airmem.analysis import words
from airmem.analysis.words import compare_pages
from airmem.cpython.layout import HAVE_GC
from airmem.cpython.types import PythonType, TypeTable

LIST, INT, TYPE = 0x7F0000001000, 0x7F0000002000, 0x7F0000003000
POINTER = 0x7F1234567890


def python_type(address, name, flags):
    return PythonType(
        address_bytes=address,
        metatype_address_bytes=TYPE,
        base_address_bytes=0,
        name=name,
        flags=flags,
        basicsize_bytes=40,
        itemsize_bytes=0,
    )


TABLE = TypeTable(
    [python_type(LIST, "list", HAVE_GC), python_type(INT, "int", 0), python_type(TYPE, "type", HAVE_GC)],
    type_address_bytes=TYPE,
    has_count_flags=False,
)


def page():
    """A page with a tracked list at word 2 (its head at 0), and an int at word 10."""
    made = np.full((1, 512), 7, np.uint64)
    made[0, :6] = [POINTER, POINTER, 3, LIST, 0, 0]
    made[0, 10:13] = [1, INT, 99]
    return made


def compare(change):
    original = page()
    copy = original.copy()
    for at, value in change.items():
        copy[0, at] = value
    return compare_pages(TABLE, original, copy, np.zeros((1, 3), np.uint64))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, words.IDENTICAL),
        ({2: 4}, words.COUNTS),
        ({10: 2}, words.COUNTS),
        ({0: POINTER + 64}, words.HEADS),
        ({1: POINTER + 64}, words.HEADS),
        ({1: POINTER + 64, 10: 5}, words.COUNTS),
        ({12: 100}, words.OTHER),
        ({2: 4, 12: 100}, words.OTHER),
        ({3: INT}, words.OTHER),
        ({8: POINTER}, words.OTHER),
    ],
)
def test_a_page_has_one_code(change, code):
    assert compare(change).codes.tolist() == [code]


def test_words_go_by_type():
    changes = compare({2: 4, 10: 2, 0: POINTER + 64})
    assert [TABLE.types[number].name for number in changes.counts[1]] == ["list", "int"]
    assert [TABLE.types[number].name for number in changes.heads[1]] == ["list"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({10: 0}, words.FREED),
        ({10: POINTER}, words.FREED),
        ({20: 1, 21: INT, 22: 5}, words.ALLOCATED),
        ({12: 100}, words.CHANGED),
    ],
)
def test_other_words_are_of_a_kind(change, kind):
    changes = compare(change)
    assert changes.codes.tolist() == [words.OTHER]
    assert changes.kinds.tolist() == [kind]


def test_the_last_words_of_a_page_belong_to_what_follows():
    """The object's type stands on the next page."""
    ahead = np.array([[LIST, 0, 0]], np.uint64)
    original = page()
    original[0, 511] = 5
    copy = original.copy()
    copy[0, 511] = 6
    assert compare_pages(TABLE, original, copy, ahead).codes.tolist() == [words.COUNTS]
    assert compare_pages(TABLE, original, copy, np.zeros((1, 3), np.uint64)).codes.tolist() == [words.OTHER]


def test_a_page_that_changed_all_over_is_data():
    original = np.full((1, 512), 1 << 40, np.uint64)
    changes = compare_pages(TABLE, original, original + np.uint64(1), np.zeros((1, 3), np.uint64))
    assert changes.codes.tolist() == [words.OTHER]
    assert changes.kinds.tolist() == [words.CHANGED]
