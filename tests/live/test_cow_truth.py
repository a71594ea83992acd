"""`airmem cow` against trees whose truth is known by page frames: who copied, why, and what comes next."""

from __future__ import annotations

import importlib.util

import pytest

from tests.live.conftest import ask
from tests.live.cow_modes import BY_NAME, HEAP_MB, MODES, foresee, foresee_generations, judge, run_mode, save

pytestmark = pytest.mark.usefixtures("page_frames")

FEW, MANY = 1, 8
IN_BOTH_SIZES = ("none", "gc", "refcount", "data-objects", "freeze+gc", "parent-gc")
RUNS = [(mode.name, FEW) for mode in MODES] + [(name, MANY) for name in IN_BOTH_SIZES] + [("forks", 2)]


@pytest.mark.parametrize(("name", "workers"), RUNS)
def test_who_copied_and_why(start, name, workers):
    mode = BY_NAME[name]
    if mode.needs_numpy and importlib.util.find_spec("numpy") is None:
        pytest.skip("needs numpy in the target's Python")
    look = run_mode(start, ask, mode, workers)
    assert judge(mode, look) == []


@pytest.mark.parametrize(("workers", "who"), [(FEW, "all"), (MANY, "all"), (MANY, "first")])
def test_what_is_at_risk_is_copied_by_the_next_collection(start, workers, who):
    assert foresee(start, ask, workers, who).wrong() == []


def test_a_parent_that_goes_on_between_the_forks_does_not_hide_what_is_at_risk(start):
    assert foresee_generations(start, ask) == []


@pytest.mark.parametrize("workers", [FEW, MANY])
def test_the_saving_of_a_freeze_is_foretold(start, workers):
    assert save(start, ask, workers).wrong() == []


def test_frozen_objects_are_counted(start):
    look = run_mode(start, ask, BY_NAME["freeze+gc"], 2)
    for row in look.answer["workers"]:
        assert row["collector"]["frozen_count"] == look.target.truth["frozen_count"] > 100_000
        assert row["at_risk_bytes"] < 1 << 20


def test_nothing_is_frozen(start):
    look = run_mode(start, ask, BY_NAME["none"], 1)
    (row,) = look.answer["workers"]
    assert row["collector"]["frozen_count"] == look.target.truth["frozen_count"]
    assert sum(one["object_count"] for one in row["collector"]["generations"]) > look.target.truth["counts"]["list"]


def test_a_class_that_is_its_own_type_hides_no_objects(start):
    target = start("cow_tree", HEAP_MB, "freeze", "sentinel")
    target.order("fork")
    (row,) = ask("cow", target.pid)["workers"]
    assert row["collector"]["frozen_count"] == target.truth["frozen_count"]
