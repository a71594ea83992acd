"""Which type was written most on each copied page: what a map of the address space says of a place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from airmem.analysis.causes import set_most_common
from airmem.analysis.collected import GC
from airmem.analysis.words import IDENTICAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.causes import Comparison
    from airmem.analysis.tracked import TrackedPages
    from airmem.analysis.writers import Member


def find_page_types(
    child: Member, comparison: Comparison, causes: npt.NDArray[np.uint8], tracked: TrackedPages, type_count: int
) -> npt.NDArray[np.int32]:
    """Return for each page the type of which most words were written, -1 for none.

    Of a page that a collection left as it was, it is the type that has most heads there.
    """
    heads = np.full(len(tracked.live), -1, np.int32)
    set_most_common(heads, tracked.places, tracked.numbers, type_count)
    restored = (causes == GC) & (comparison.codes == IDENTICAL)
    changed = np.full(len(causes), -1, np.int32) if comparison.types is None else comparison.types
    found: npt.NDArray[np.int32] = np.where(restored, heads[child.in_parent], changed)
    return found
