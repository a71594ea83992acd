"""When a person is told about copies, and what a remedy is said to save."""

from __future__ import annotations

import pytest

from airmem.model.cow import CauseBytes, CollectorState, CowWorker, Forecast, Generation, WriteBytes
from airmem.model.process import FORKED_WITHOUT_EXEC, Process
from airmem.rules.cow import RECYCLED_SECONDS, REMEDY_BYTES, TELL_BYTES, check_cow, find_remedies
from airmem.units import MIB, TICKS_PER_SECOND

STATE = CollectorState(
    generations=(Generation(object_count=5, page_count=1),) * 3,
    frozen_count=0,
    frozen_pages=0,
    full_collection_count=3,
    full_since_fork_count=None,
)
NO_RISK = Forecast(at_risk_bytes=0, worker_count=1)


def worker(*, gc=0, refcount=0, by_parent=0, new=0, flags=FORKED_WITHOUT_EXEC, start=100, **more):
    process = Process(
        pid=7, parent_pid=1, start_ticks=start, command="python", state="S", session_id=1, flags=flags,
        thread_count=1, rss_pages=10, arguments=("/usr/bin/python3", "x.py"),
    )  # fmt: skip
    fields = {
        "process": process, "role": "worker", "component": None, "certainty": "exact", "inherited_bytes": 500 * MIB,
        "shared_bytes": 100 * MIB, "copied_bytes": gc + refcount, "copied_by_parent_bytes": by_parent,
        "both_wrote_bytes": 0,
        "freed_by_parent_bytes": 0, "new_bytes": new, "swapped_bytes": 0,
        "causes": CauseBytes(gc_bytes=gc, refcount_bytes=refcount, data_bytes=0, unknown_bytes=0),
        "writes": WriteBytes(allocated_bytes=0, freed_bytes=0, changed_bytes=0), "types": (), "collector": STATE,
        "at_risk_bytes": 0, "frozen_shared_bytes": 0, "static_refcount_bytes": None, "imported_bytes": 0, "unstable_bytes": 0,
        "mappings": (), "runs": None, **more,
    }  # fmt: skip
    return CowWorker(**fields)


def codes(workers, forecast=NO_RISK):
    return [one.code for one in check_cow(workers, forecast, STATE)]


@pytest.mark.parametrize(("field", "code"), [("gc", "AM112"), ("refcount", "AM113"), ("by_parent", "AM114")])
def test_copies_are_told_from_a_threshold_on(field, code):
    assert codes((worker(**{field: TELL_BYTES}),)) == [code]
    assert codes((worker(**{field: TELL_BYTES - 1}),)) == []


def test_what_the_next_collection_copies_is_told():
    foretold = Forecast(at_risk_bytes=TELL_BYTES, worker_count=1)
    assert codes((worker(at_risk_bytes=TELL_BYTES),), foretold) == ["AM111"]
    assert codes((worker(at_risk_bytes=None, causes=None),), Forecast(at_risk_bytes=None, worker_count=1)) == []


def test_children_that_were_not_forked_are_told():
    assert codes((worker(new=TELL_BYTES, flags=0),)) == ["AM115"]


def names(workers, forecast=NO_RISK, collector=STATE, old_originals_bytes=(0, 0)):
    found = find_remedies(workers, forecast, collector, old_originals_bytes=old_originals_bytes, hole_bytes=0)
    return {one.name: one.saves_bytes for one in found}


def test_freezing_saves_what_was_and_what_will_be_copied():
    foretold = Forecast(at_risk_bytes=30 * MIB, worker_count=2)
    workers = (worker(gc=10 * MIB), worker(gc=5 * MIB))
    assert names(workers, foretold) == {"gc.freeze before fork": 45 * MIB}


def test_a_remedy_without_a_number_is_not_listed():
    assert names((worker(),)) == {}
    assert names((worker(gc=REMEDY_BYTES),), Forecast(at_risk_bytes=None, worker_count=1)) == {}
    assert names((worker(gc=50 * MIB),), collector=None) == {}


def test_workers_of_different_times_keep_old_originals():
    together = (worker(), worker())
    apart = (worker(), worker(start=101 + RECYCLED_SECONDS * TICKS_PER_SECOND))
    rest = "a parent that rests after the fork"
    assert names(together, old_originals_bytes=(9 * MIB, 6 * MIB)) == {rest: 9 * MIB}
    recycled = names(apart, old_originals_bytes=(9 * MIB, 6 * MIB))
    assert recycled == {rest: 9 * MIB, "keep workers from being recycled": 6 * MIB}


def test_what_each_worker_imports_could_be_imported_once():
    workers = (worker(imported_bytes=5 * MIB), worker(imported_bytes=6 * MIB), worker(imported_bytes=4 * MIB))
    assert names(workers) == {"import before fork": 9 * MIB}


def test_spawned_children_could_share():
    workers = (worker(new=40 * MIB, flags=0), worker(new=60 * MIB, flags=0), worker(new=90 * MIB, flags=0))
    assert names(workers) == {"fork instead of spawn": 80 * MIB}
    helpers = (worker(new=5 * MIB, flags=0, role="resource-tracker"), worker(new=9 * MIB, flags=0, role="forkserver"))
    assert names((*workers, *helpers)) == {"fork instead of spawn": 80 * MIB}
    assert names(helpers) == {}
