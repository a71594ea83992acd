"""Reading a part of the copied pages, chosen at random, and how far the estimate may be from the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from airmem.analysis.writers import COPIED, Member
from airmem.model.cow import Coverage
from airmem.units import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE_DEVIATIONS = 1.96
"""Standard deviations on both sides that hold 95 % of a normal distribution."""

LEAST_PAGES = 400
"""Of each worker's copied pages at least so many are read: the margin is then at most 5 % of them."""

SEED = 1
"""Any number: the same pages of the same tree are chosen each time."""


@dataclass(frozen=True, slots=True)
class Fraction:
    """Which part of each worker's copied pages is read, and whether the parents' pages are read whole, for heads."""

    ratio: float = 1.0
    with_heads: bool = True

    def choose(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return so many of these places, ascending, chosen at random without regard to where they lie."""
        count = self.count(len(places))
        if count == len(places):
            return places
        return np.sort(np.random.default_rng(SEED).choice(places, count, replace=False))

    def count(self, count: int) -> int:
        """Return how many of so many pages are read."""
        return count if self.ratio >= 1 else min(count, max(LEAST_PAGES, int(count * self.ratio)))


def choose_fraction(members: Sequence[Member | None], ratio: float, most_bytes: int | None) -> Fraction:
    """Return the part to read for a wish: a ratio, or a number of bytes in all.

    The parents' pages are read whole, since the collector's lists run through all of them: what is left of `most_bytes`
    goes to their children's copies, at least LEAST_PAGES of each. Where they alone are more than that, of them only the
    originals of the chosen copies are read, and what the collector did and will do is not told.
    """
    if most_bytes is None:
        return Fraction(ratio)
    family = [one for one in members if one is not None]
    originals = sum(len(one.pages) for one in family if one.children) * PAGE_BYTES
    copies = sum(_copied(one) for one in family) * PAGE_BYTES
    if originals > most_bytes:
        return Fraction(min(ratio, most_bytes / (2 * copies) if copies else 1.0), with_heads=False)
    left = most_bytes - originals
    return Fraction(min(ratio, left / copies if copies else 1.0))


def describe_coverage(
    read_bytes: int, members: Sequence[Member | None], fraction: Fraction, duty_ratio: float | None
) -> Coverage:
    """Return how much was read, and the widest margin of any worker: of a share of p = 1/2, in parts of its copies."""
    counts = [_copied(one) for one in members if one is not None and one.parent is not None]
    margins = [_margin(fraction.count(count), count) for count in counts if count]
    total = sum(counts)
    read = sum(fraction.count(count) for count in counts)
    return Coverage(
        read_bytes=read_bytes,
        fraction_ratio=read / total if total else 1.0,
        margin_ratio=max(margins, default=0.0),
        duty_ratio=duty_ratio,
    )


def _margin(read: int, count: int) -> float:
    """Return half the width of the confidence interval of a share, drawn without replacement from so many pages."""
    if read >= count:
        return 0.0
    return float(CONFIDENCE_DEVIATIONS * np.sqrt(0.25 / read * (count - read) / (count - 1)))


def _copied(member: Member) -> int:
    return int(np.count_nonzero(member.states == COPIED)) if member.parent is not None else 0
