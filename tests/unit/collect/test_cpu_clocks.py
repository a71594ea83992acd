"""The scheduler's clocks of this machine's CPUs."""

from __future__ import annotations

import os
import time

import pytest

from airmem.collect.cpu_clocks import read_cpu_clocks
from airmem.collect.looks import LookTime


def test_each_cpu_has_a_clock_that_goes_and_the_thread_may_go_where_it_was():
    if not os.path.exists("/proc/self/sched"):
        pytest.skip("needs a kernel with /proc/PID/sched (CONFIG_SCHED_DEBUG)")
    allowed = os.sched_getaffinity(0)
    before, began = dict(read_cpu_clocks()), time.monotonic()
    time.sleep(0.3)
    after, passed = dict(read_cpu_clocks()), time.monotonic() - began
    assert set(before) == set(after) == allowed
    assert os.sched_getaffinity(0) == allowed
    for cpu in allowed:
        assert 0 < after[cpu] - before[cpu] <= passed + 0.2  # it stands still while the CPU does something else


def test_how_long_ago_is_told_by_the_cpu_that_it_was_on():
    look = LookTime(0.0, {0: 100.0, 1: 103.0, 2: 101.0})
    assert look.since(0, 98.0) == 2.0
    assert look.since(1, 98.0) == 5.0
    assert look.since(7, 98.0) == 3.0
    assert look.since(0, 100.5) == 0.0


def test_what_is_not_known_is_none():
    assert LookTime(0.0, {}).since(0, 98.0) is None
    assert LookTime(0.0, {0: 100.0}).since(0, None) is None
