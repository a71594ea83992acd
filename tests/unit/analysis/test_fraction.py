"""A part of the pages, chosen at random, and its margin."""

from __future__ import annotations

import numpy as np
import pytest

from airmem.analysis.cow import _extend
from airmem.analysis.fraction import LEAST_PAGES, Fraction, _margin


def test_all_is_all():
    places = np.arange(1000)
    assert Fraction().choose(places) is places
    assert _margin(1000, 1000) == 0


def test_a_part_is_chosen_evenly_and_ascends():
    chosen = Fraction(0.1).choose(np.arange(100_000))
    assert len(chosen) == 10_000
    assert (np.diff(chosen) > 0).all()
    assert abs(chosen.mean() - 50_000) < 1500


def test_few_pages_are_all_read():
    assert Fraction(0.01).count(LEAST_PAGES // 2) == LEAST_PAGES // 2
    assert Fraction(0.01).count(100 * LEAST_PAGES) == LEAST_PAGES


def test_the_margin_holds_for_19_of_20():
    """Draw again and again from pages of which 30 % have a cause."""
    truth = np.arange(20_000) % 10 < 3
    generator = np.random.default_rng(7)
    count = 1000
    shares = [truth[generator.choice(len(truth), count, replace=False)].mean() for _ in range(400)]
    inside = np.abs(np.array(shares) - 0.3) <= _margin(count, len(truth))
    assert inside.mean() >= 0.95


@pytest.mark.parametrize("counts", [[1, 2, 3], [0, 400, 1], [7, 0, 0], [1, 1, 1, 1]])
@pytest.mark.parametrize("total", [10, 999, 12345])
def test_an_estimate_sums_to_the_whole(counts, total):
    extended = _extend(np.array(counts), total)
    assert sum(extended) == total
    for part, one in zip(extended, counts, strict=True):
        assert part == pytest.approx(one / sum(counts) * total, abs=1)
