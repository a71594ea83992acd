"""Which words are types: the same as comparing each word with each address."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.cpython.memory import make_table, make_type


@pytest.mark.parametrize("count", [1, 2, 1000, 20_000])
def test_a_word_is_found_exactly_when_it_is_an_address(count):
    rng = np.random.default_rng(count)
    addresses = np.unique(rng.integers(1 << 12, 1 << 43, count)) * 16
    table = make_table(*(make_type(int(one), f"T{one}") for one in addresses))
    near = np.concatenate([addresses, addresses + 8, addresses - 16, addresses ^ (1 << 40), [0, 1, -1]])
    words = rng.permutation(np.concatenate([near.view(np.uint64), rng.integers(0, 1 << 47, 5000).astype(np.uint64)]))
    found, numbers = table.find(words)
    assert np.array_equal(found, np.isin(words, addresses.astype(np.uint64)))
    assert np.array_equal(table.addresses[numbers[found]], words[found])
    assert not numbers[~found].any()
    at, picked = table.pick(words)
    assert np.array_equal(at, np.flatnonzero(found))
    assert np.array_equal(picked, numbers[found])


def test_rows_of_words_keep_their_shape():
    table = make_table(make_type(0x10000, "A"), make_type(0x20000, "B"))
    found, numbers = table.find(np.array([[0x10000, 5], [6, 0x20000]], np.uint64))
    assert found.tolist() == [[True, False], [False, True]]
    assert [table.types[number].name for number in numbers[found]] == ["A", "B"]


def test_an_address_has_its_number():
    table = make_table(make_type(0x20000, "B"), make_type(0x10000, "A"))
    assert [one.name for one in table.types] == ["A", "B"]
    assert (table.number(0x20000), table.number(0x20008)) == (1, None)
