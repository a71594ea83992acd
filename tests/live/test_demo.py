"""`airmem demo`: each mode's truth, and that nothing remains whatever ends it."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.live.conftest import Start, ask, by_pid, run_airmem
from tests.live.tree import is_gone, read_stat, wait_until

MIB = 1 << 20
DEMO = (sys.executable, "-m", "airmem", "demo", "--megabytes")


def demo(*arguments: object, megabytes: int = 120) -> list[str]:
    return [*DEMO, str(megabytes), *map(str, arguments)]


def uss_of(start: Start, *arguments: object) -> tuple[int, list[int], int]:
    """Return (USS of the parent, USS of each worker, RSS of the parent) of a frozen demo, in bytes."""
    target = start(command=demo(*arguments)).freeze()
    rows = by_pid(ask("pss", target.pid, "--depth", "rollup"))
    workers = [row["uss_bytes"] for pid, row in rows.items() if pid != target.pid]
    return rows[target.pid]["uss_bytes"], workers, rows[target.pid]["rss_bytes"]


def test_idle_workers_own_nearly_nothing(start: Start) -> None:
    _, workers, rss_bytes = uss_of(start, "--mode", "none")
    assert rss_bytes >= 100 * MIB
    assert len(workers) == 4
    assert max(workers) < 2 * MIB


def test_a_collection_copies_most_of_the_heap(start: Start) -> None:
    _, workers, _ = uss_of(start, "--mode", "gc")
    assert min(workers) > 60 * MIB


def test_references_copy_every_object(start: Start) -> None:
    _, workers, _ = uss_of(start, "--mode", "refcount")
    assert min(workers) > 90 * MIB


def test_rewritten_data_is_at_least_what_is_stated(start: Start) -> None:
    _, workers, _ = uss_of(start, "--mode", "data")
    assert 20 * MIB <= min(workers) <= max(workers) < 23 * MIB


def test_frozen_objects_survive_a_collection(start: Start) -> None:
    _, workers, _ = uss_of(start, "--mode", "frozen")
    assert max(workers) < 3 * MIB


def test_a_parent_that_writes_owns_the_copies(start: Start) -> None:
    parent, workers, _ = uss_of(start, "--mode", "parent")
    assert parent > 80 * MIB
    assert max(workers) < 2 * MIB


def test_mixed_workers_take_turns(start: Start) -> None:
    _, workers, _ = uss_of(start, "--mode", "mixed")
    assert min(workers[0::2]) > 60 * MIB
    assert 20 * MIB <= min(workers[1::2]) <= max(workers[1::2]) < 23 * MIB


def test_a_hanging_tree_waits_in_the_kernel(start: Start) -> None:
    target = start(command=demo("--mode", "hang", megabytes=5))
    workers = [pid for pid in target.tree if pid != target.pid]
    assert len(workers) == 3
    assert {read_stat(pid)[0] for pid in workers} == {"S"}


@pytest.mark.parametrize("mode", ["none", "gc"])
def test_workers_that_rest_are_idle_however_long_it_lasts(start: Start, mode: str) -> None:
    target = start(command=demo("--mode", mode, "--workers", 2, megabytes=5))
    answer = ask("hang-dump", target.pid, "--window", 0.2, "--stuck-after", 0.1)
    assert [row["state"] for row in answer["processes"]] == 3 * ["idle"]
    assert answer["findings"] == []


def test_in_mode_hang_those_that_wait_for_somebody_are_hung(start: Start) -> None:
    target = start(command=demo("--mode", "hang", megabytes=5))
    answer = ask("hang-dump", target.pid, "--window", 0.5, "--stuck-after", 0.1)
    assert {row["pid"]: row["state"] for row in answer["processes"]} == {
        pid: "idle" if pid == target.pid else "hung" for pid in target.tree
    }


@pytest.mark.parametrize("mode", ["none", "hang"])
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_nothing_remains_after_a_signal(start: Start, mode: str, number: int, status: int) -> None:
    target = start(command=demo("--mode", mode, megabytes=5))
    pids = [*target.tree]
    assert len(pids) >= 4
    os.kill(target.pid, number)
    assert target.process.wait(10) == status
    for pid in pids:
        wait_until(lambda pid=pid: is_gone(pid), f"process {pid} to end")


def test_it_ends_by_itself(start: Start) -> None:
    target = start(command=demo("--for", "0.2", megabytes=5))
    assert target.process.wait(10) == 0


def test_the_first_number_is_the_parent(start: Start) -> None:
    target = start(command=demo("--workers", 2, "--mode", "gc", megabytes=5))
    assert target.lines[0] == f"pid {target.process.pid}: a parent and 2 workers, mode gc, ready"


@pytest.mark.parametrize("wrong", ["--workers 0", "--workers -1", "--workers 100000", "--megabytes 900000", "--mode x"])
def test_wrong_uses_are_explained(wrong: str) -> None:
    done = run_airmem("demo", *wrong.split())
    assert done.returncode == 2
    assert done.stderr
    assert not done.stdout


def test_a_hang_needs_three() -> None:
    assert run_airmem("demo", "--mode", "hang", "--workers", 2).returncode == 2


def test_a_want_of_memory_is_explained() -> None:
    done = run_airmem("demo", "--for", 1, command=("prlimit", "--as=100000000", sys.executable, "-m", "airmem"))
    assert done.returncode == 2
    assert "no memory" in done.stderr
