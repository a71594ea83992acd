"""Who is at work, and how long nobody reads from it, told of real processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from airmem.collect.pacing import DUTY_RATIO, LOOK_SECONDS, QUIET_SECONDS, RESTING_DUTY_RATIO, Pace
from airmem.kernel.reader import KernelReader

SPENT_SECONDS = 0.005
MAPS = "import mmap\nprint(flush=True)\nwhile True: mmap.mmap(-1, 1 << 16).write(bytes(1 << 16))"
RESTS = "import time\nprint(flush=True)\ntime.sleep(1000)"


@contextmanager
def program(text: str) -> Iterator[tuple[int, int]]:
    """Run a program until the block ends; yield a process key (the start does not matter here)."""
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid, 0
    finally:
        process.kill()
        process.communicate()


def rested_seconds(pace: Pace, key: tuple[int, int]) -> float:
    """Return how long a pause is after a read."""
    pace.spend(key, SPENT_SECONDS)
    began = time.monotonic()
    pace.rest(key)
    return time.monotonic() - began


def test_a_process_that_maps_is_at_work_and_has_long_pauses():
    with program(MAPS) as key:
        pace = Pace(KernelReader())
        pace.watch([key])
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            assert pace.is_at_work(key)
            if rested_seconds(pace, key) > SPENT_SECONDS * (1 / DUTY_RATIO - 1) / 2:
                break
        else:
            raise AssertionError("never a long pause")
        assert pace.duty_ratio == DUTY_RATIO


def test_a_process_that_rests_is_read_half_of_the_time():
    with program(RESTS) as key:
        pace = Pace(KernelReader())
        deadline = time.monotonic() + 10
        while pace.is_at_work(key):
            assert time.monotonic() < deadline
            time.sleep(QUIET_SECONDS)
        rested_seconds(pace, key)
        assert pace.duty_ratio == RESTING_DUTY_RATIO


def test_one_that_is_at_work_does_not_hold_up_another():
    with program(MAPS) as busy, program(RESTS) as idle:
        pace = Pace(KernelReader())
        pace.watch([busy, idle])
        time.sleep(2 * LOOK_SECONDS)
        pace.spend(busy, 100.0)
        began = time.monotonic()
        pace.rest(idle)
        assert time.monotonic() - began < 50


def test_a_copy_of_kernel_files_is_read_without_pauses(tmp_path):
    pace = Pace(KernelReader(str(tmp_path)))
    assert not pace.is_at_work((1, 0))
    assert rested_seconds(pace, (1, 0)) < SPENT_SECONDS
