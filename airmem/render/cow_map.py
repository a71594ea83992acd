"""The address spaces of workers as maps in HTML: a cell for each page, colored by what became of it.

The page draws them itself from runs of pages, which are some hundred times smaller than a picture of each page.
"""

from __future__ import annotations

import numpy as np

from airmem.model.cow import PAGE_STATES
from airmem.render.as_html import PAGES
from airmem.render.escape import escape
from airmem.units import PAGE_BYTES, format_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    from airmem.model.anonymous import AddressRange
    from airmem.model.cow import CowReport, CowWorker, PageRuns

KINDS = (
    ("shared with the parent", "#b8bfc7"),
    ("copied: garbage collector", "#d55e00"),
    ("copied: reference counts", "#e69f00"),
    ("copied: data", "#0072b2"),
    ("copied: unknown cause", "#4d4d4d"),
    ("copied by the parent", "#cc79a7"),
    ("freed by the parent", "#56b4e9"),
    ("new since the fork", "#009e73"),
    ("swapped", "#f0e442"),
)
"""What a page can be, with colors that people who see few colors can tell apart (Okabe and Ito 2008)."""

FIRST_COPIED = 1
OF_STATE = {"shared": 0, "copied": FIRST_COPIED, "copied_by_parent": 5, "freed_by_parent": 6, "new": 7, "swapped": 8}
LONGEST_NAME = 200
END_ADDRESS = 1 << 47
"""Where user space ends: above it is the vsyscall page."""


def render_cow_map(report: CowReport) -> str:
    """Return HTML with a map for each worker whose pages are known, made to stand below the tables of as_html."""
    names: dict[str, int] = {}
    workers = [_worker(worker, worker.runs, names) for worker in report.workers if worker.runs is not None]
    values = {
        "page_bytes": PAGE_BYTES,
        "kinds": [{"name": name, "color": color} for name, color in KINDS],
        "types": [escape(name, LONGEST_NAME) for name in names],
        "workers": workers,
    }
    return PAGES.get_template("cow_map.html").render(values=values, page_bytes=PAGE_BYTES)


def _worker(worker: CowWorker, runs: PageRuns, names: dict[str, int]) -> dict[str, Any]:
    kinds = np.array([OF_STATE[name] for name in PAGE_STATES])[runs.states]
    kinds = np.where(kinds == FIRST_COPIED, FIRST_COPIED + runs.causes.astype(np.int64), kinds)
    known = [one for one in runs.ranges if one.start_address < END_ADDRESS]
    at, places = np.unique(_places(runs.first_pages, known), return_inverse=True)
    mappings = [known[place] for place in at.tolist()]
    title = f"{worker.role} {worker.process.pid}  {escape(worker.process.title, LONGEST_NAME)}"
    return {
        "title": f"{title}: {format_bytes(worker.copied_bytes)} copied, {format_bytes(worker.shared_bytes)} shared",
        "steps": np.diff(runs.first_pages, prepend=0).tolist(),
        "counts": runs.page_counts.tolist(),
        "kinds": kinds.tolist(),
        "types": [-1 if name is None else names.setdefault(name, len(names)) for name in runs.types],
        "mappings": places.tolist(),
        "mapping_names": [escape(one.name, LONGEST_NAME) for one in mappings],
        "mapping_pages": [(one.end_address - one.start_address) // PAGE_BYTES for one in mappings],
    }


def _places(pages: npt.NDArray[np.int64], mappings: list[AddressRange]) -> npt.NDArray[np.int64]:
    """Return for each page the place of the mapping that it lies in."""
    starts = np.array([one.start_address // PAGE_BYTES for one in mappings], np.int64)
    return np.searchsorted(starts, pages, side="right") - 1
