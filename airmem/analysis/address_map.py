"""The pages of one process as runs and by mapping: where in its address space what was copied lies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from airmem.analysis.writers import COPIED, COPIED_BY_PARENT, NEW, SHARED, SWAPPED
from airmem.model.cow import CowMapping, PageRuns
from airmem.units import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from airmem.analysis.writers import Member
    from airmem.model.anonymous import AddressRange

STATE_COUNT = SWAPPED + 1


def find_runs(
    member: Member, causes: npt.NDArray[np.uint8], types: npt.NDArray[np.int32], type_names: dict[int, str]
) -> PageRuns:
    """Return neighboring pages of one state and one cause as runs.

    `causes` has a place in CAUSES for each page, `types` the number of the type that was written most, -1 for none.
    """
    pages, states = member.pages, member.states
    if not len(pages):
        empty = np.zeros(0, np.uint8)
        return PageRuns(
            first_pages=pages, page_counts=np.zeros(0, np.int32), states=empty, causes=empty, types=(), ranges=()
        )
    told = np.where(states == COPIED, causes, 0).astype(np.uint8)
    cuts = (np.diff(pages) != 1) | (np.diff(states) != 0) | (np.diff(told) != 0)
    begins = np.concatenate(([0], np.flatnonzero(cuts) + 1))
    counts = np.diff(np.concatenate((begins, [len(pages)])))
    return PageRuns(
        first_pages=pages[begins],
        page_counts=counts.astype(np.int32),
        states=states[begins],
        causes=told[begins],
        types=_name_runs(np.repeat(np.arange(len(begins)), counts), types, len(begins), type_names),
        ranges=member.ranges,
    )


def _name_runs(
    runs: npt.NDArray[np.int64], types: npt.NDArray[np.int32], run_count: int, names: dict[int, str]
) -> tuple[str | None, ...]:
    """Return for each run the type that most of its pages have, None where none has any. `runs` is each page's run."""
    has = np.flatnonzero(types >= 0)
    size = int(types.max(initial=0)) + 1
    pairs, counts = np.unique(runs[has] * size + types[has], return_counts=True)
    pairs = pairs[np.argsort(counts, kind="stable")]
    found = np.full(run_count, -1, np.int64)
    found[pairs // size] = pairs % size  # of several for one run the last counts
    return tuple(names.get(number) for number in found.tolist())


def is_in_files(ranges: Sequence[AddressRange], pages: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tell which pages lie in mappings of files. The zeroed part of a library is not told from what lies behind it."""
    starts = np.array([one.start_address // PAGE_BYTES for one in ranges], np.int64)
    if not len(starts):
        return np.zeros(len(pages), np.bool_)
    is_file = np.array([one.inode != 0 for one in ranges], np.bool_)
    found: npt.NDArray[np.bool_] = is_file[np.searchsorted(starts, pages, side="right") - 1]
    return found


def sum_by_mapping(member: Member) -> tuple[CowMapping, ...]:
    """Return the mappings in which a process has copied or new pages, ascending by address."""
    starts = np.array([one.start_address // PAGE_BYTES for one in member.ranges], np.int64)
    if not len(starts) or not len(member.pages):
        return ()
    place = np.searchsorted(starts, member.pages, side="right") - 1
    cells = np.bincount(place * STATE_COUNT + member.states, minlength=len(starts) * STATE_COUNT)
    counts = cells.reshape(len(starts), STATE_COUNT) * PAGE_BYTES
    chosen = np.flatnonzero(counts[:, COPIED] + counts[:, COPIED_BY_PARENT] + counts[:, NEW])
    return tuple(
        CowMapping(
            start_address=member.ranges[at].start_address,
            end_address=member.ranges[at].end_address,
            name=member.ranges[at].name,
            shared_bytes=int(counts[at, SHARED]),
            copied_bytes=int(counts[at, COPIED]),
            copied_by_parent_bytes=int(counts[at, COPIED_BY_PARENT]),
            new_bytes=int(counts[at, NEW]),
        )
        for at in chosen.tolist()
    )
