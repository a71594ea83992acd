"""`airmem cow` on trees whose processes freeze for themselves, on estimates, and on targets that are not what they seem."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from tests.live.conftest import ask, run_airmem
from tests.live.tree import find_tree, read_stat, wait_until

pytestmark = pytest.mark.usefixtures("page_frames")

MIB = 1 << 20
DEMO = (sys.executable, "-m", "airmem", "demo", "--megabytes", "40")


def workers_of(answer):
    return {row["pid"]: row for row in answer["workers"]}


def check_sums(answer):
    for row in answer["workers"]:
        assert sum(row["causes"].values()) == row["copied_bytes"]
        assert row["shared_bytes"] + row["copied_bytes"] + row["copied_by_parent_bytes"] == row["inherited_bytes"]
        if row["writes"] is not None:
            assert sum(row["writes"].values()) == row["causes"]["data_bytes"]


def test_workers_stay_frozen_when_their_parent_unfreezes(start):
    target = start("frozen_states", "unfreeze")
    answer = ask("cow", target.pid)
    check_sums(answer)
    assert answer["collector"]["frozen_count"] == 0
    for pid in target.truth["resting"]:
        row = workers_of(answer)[pid]
        assert row["collector"]["frozen_count"] == target.truth["frozen_count"]
        assert row["at_risk_bytes"] < MIB
        assert row["copied_by_parent_bytes"] > 5 * MIB
        assert row["copied_bytes"] < 2 * MIB


def test_a_worker_that_froze_for_itself_is_protected_and_its_sibling_is_not(start):
    target = start("frozen_states", "postfork")
    rows = workers_of(ask("cow", target.pid))
    assert rows[target.truth["freezing"]]["collector"]["frozen_count"] > 2 * target.truth["nodes"]
    assert rows[target.truth["freezing"]]["at_risk_bytes"] < MIB
    assert rows[target.truth["resting"][0]]["at_risk_bytes"] > 5 * MIB


def test_each_process_is_compared_with_its_own_parent(start):
    target = start("frozen_states", "nested")
    answer = ask("cow", target.pid)
    check_sums(answer)
    rows = workers_of(answer)
    collecting, resting = [pid for pid in rows if rows[pid]["parent_pid"] == target.truth["child"]]
    assert rows[collecting]["causes"]["gc_bytes"] > 5 * MIB
    assert rows[collecting]["collector"]["full_since_fork_count"] == 1
    assert rows[resting]["copied_bytes"] < 2 * MIB
    assert rows[target.truth["child"]]["copied_bytes"] < 2 * MIB


@pytest.mark.parametrize("bound", [("--fraction", "0.2"), ("--max-bytes", "60M")])
def test_an_estimate_is_within_its_margin(start, bound):
    target = start(command=[*DEMO, "--mode", "mixed", "--workers", "2"])
    exact, estimate = ask("cow", target.pid), ask("cow", target.pid, *bound)
    check_sums(estimate)
    coverage = estimate["coverage"]
    assert coverage["fraction_ratio"] < 0.7
    assert 0 < coverage["margin_ratio"] < 0.06
    assert coverage["read_bytes"] < exact["coverage"]["read_bytes"]
    for pid, row in workers_of(estimate).items():
        truth = workers_of(exact)[pid]
        assert row["copied_bytes"] == pytest.approx(truth["copied_bytes"], rel=0.01)
        assert row["at_risk_bytes"] == pytest.approx(truth["at_risk_bytes"], rel=0.01, abs=MIB)
        for cause, size in row["causes"].items():
            assert size == pytest.approx(truth["causes"][cause], abs=coverage["margin_ratio"] * row["copied_bytes"])


def test_a_bound_below_the_parents_size_is_kept(start):
    target = start(command=[*DEMO, "--mode", "refcount", "--workers", "2"])
    exact, bounded = ask("cow", target.pid), ask("cow", target.pid, "--max-bytes", "8M")
    check_sums(bounded)
    assert [gap["reason"] for gap in bounded["gaps"]] == ["max_bytes"]
    assert bounded["coverage"]["read_bytes"] < 0.5 * exact["coverage"]["read_bytes"]
    assert bounded["forecast"]["at_risk_bytes"] is None
    for pid, row in workers_of(bounded).items():
        truth = workers_of(exact)[pid]
        margin = bounded["coverage"]["margin_ratio"] * row["copied_bytes"]
        assert row["causes"]["refcount_bytes"] == pytest.approx(truth["causes"]["refcount_bytes"], abs=margin)


def test_what_is_not_python_has_no_causes():
    script = "exec 3<&0; x=$(printf %2000000s); (y=$x.; read z <&3) & echo; read z"
    with subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        shell.stdout.readline()
        wait_until(lambda: len(find_tree(shell.pid)) == 2, "the child")
        answer = ask("cow", shell.pid)
        shell.stdin.close()
    check_sums(answer)
    assert [gap["reason"] for gap in answer["gaps"]] == ["not_cpython"]
    (row,) = answer["workers"]
    assert row["causes"]["unknown_bytes"] == row["copied_bytes"]
    assert answer["forecast"]["at_risk_bytes"] is None


def test_a_target_that_ends_meanwhile_is_told(start):
    target = start(command=[*DEMO, "--mode", "gc", "--workers", "2"])
    statuses = []

    def look():
        while not statuses or statuses[-1] == 0:
            statuses.append(run_airmem("cow", target.pid, "--format", "csv").returncode)

    looking = threading.Thread(target=look)
    looking.start()
    wait_until(lambda: statuses, "a first look")
    target.process.kill()
    target.process.wait()
    looking.join(60)
    assert statuses[-1] == 3


def test_a_child_in_its_parents_memory_is_a_gap(start):
    target = start("borrows_memory")
    answer = ask("cow", target.pid)
    assert [gap["reason"] for gap in answer["gaps"]] == ["same_memory"]
    assert workers_of(answer)[target.truth["child"]]["inherited_bytes"] is None
    target.process.terminate()


def test_a_zombie_cannot_be_measured():
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        wait_until(lambda: read_stat(process.pid)[0] == "Z", "its end")
        done = run_airmem("cow", process.pid)
    assert done.returncode == 5
    assert "has ended" in done.stderr


def test_a_process_without_children_is_told_whom_to_ask(start):
    target = start("frozen_states", "postfork")
    done = run_airmem("cow", target.truth["resting"][0])
    assert done.returncode == 0
    assert f"Next: airmem cow {target.pid}" in done.stdout


def test_text_names_what_matters(start):
    target = start(command=[*DEMO, "--mode", "none", "--workers", "2"])
    shown = run_airmem("cow", target.pid).stdout
    assert "Nothing is frozen" in shown
    assert "x 2 workers" in shown
    assert "gc.freeze before fork saves" in shown
    assert run_airmem("cow", target.pid, "--fail-on", "warning").returncode == 1
