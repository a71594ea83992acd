from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np

from airmem.model.anonymous import AddressRange
from airmem.model.cow import CAUSES, PAGE_STATES, PageRuns
from airmem.render.cow_map import KINDS, render_cow_map

HOSTILE = "</script><script>alert(1)</script>\x1b[2J\u202e"


def report(name: str) -> SimpleNamespace:
    states = [PAGE_STATES.index(state) for state in ("shared", "copied", "copied", "new")]
    causes = [0, CAUSES.index("gc"), CAUSES.index("data"), 0]
    ranges = tuple(
        AddressRange(start_address=start << 12, end_address=end << 12, permissions="rw-p", inode=0, name=name)
        for start, end in ((16, 30), (1000, 1003))
    )
    runs = PageRuns(
        first_pages=np.array([16, 20, 21, 1001], np.int64),
        page_counts=np.array([4, 1, 9, 2], np.int32),
        states=np.array(states, np.uint8),
        causes=np.array(causes, np.uint8),
        types=(None, name, "builtins.list", None),
        ranges=ranges,
    )
    process = SimpleNamespace(pid=7, title=name)
    worker = SimpleNamespace(role="worker", process=process, runs=runs, copied_bytes=40960, shared_bytes=16384)
    unread = SimpleNamespace(role="worker", process=process, runs=None, copied_bytes=None, shared_bytes=None)
    return SimpleNamespace(workers=(worker, unread))


def values(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="map-values">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


def test_runs_become_cells_of_their_kind():
    (worker,) = values(render_cow_map(report("[heap]")))["workers"]
    assert np.cumsum(worker["steps"]).tolist() == [16, 20, 21, 1001]
    assert worker["counts"] == [4, 1, 9, 2]
    assert [KINDS[kind][0] for kind in worker["kinds"]] == [
        "shared with the parent", "copied: garbage collector", "copied: data", "new since the fork",
    ]  # fmt: skip
    assert worker["mappings"] == [0, 0, 0, 1]
    assert worker["mapping_pages"] == [14, 3]
    assert worker["types"] == [-1, 0, 1, -1]


def test_names_are_inert():
    page = render_cow_map(report(HOSTILE))
    assert page.count("<script") == 2
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "alert(1)" in values(page)["workers"][0]["title"]
