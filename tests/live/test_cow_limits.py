"""`airmem cow` without privilege, and on targets that are not what it hopes for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airmem.analysis.collected import DATA, UNKNOWN
from airmem.analysis.explain import explain_family
from airmem.analysis.fraction import Fraction
from airmem.analysis.writers import COPIED, attribute_writers
from airmem.collect.anonymous import LiveAnonymousTables
from airmem.collect.contents import LiveContents
from airmem.collect.source import open_source
from airmem.collect.tree import collect_tree
from airmem.units import PAGE_BYTES
from tests.live.conftest import PROGRAMS, Start, ask, run_airmem
from tests.live.cow_modes import BY_NAME, CAUSES, HEAP_MB, IDLE_BYTES, MIB, Trial, standing_still
from tests.live.permission import Toolbox, make_toolbox, user
from tests.live.tree import read_stat, wait_until

UID = 50000
COPIED_RATIO = 0.05
CAUSE_RATIO = 0.10
LEAST_BYTES = MIB
"""A cause of less than this is what any process writes after a fork; page by page both writers may claim it."""

NO_CAPABILITY = [*user(UID), "--bounding-set=-all"]


@pytest.fixture(scope="session")
def toolbox(private_python: list[str], public_folder: Path) -> Toolbox:
    return make_toolbox(public_folder / "cow-toolbox", private_python, PROGRAMS)


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("name", ["gc", "refcount", "data-buffers", "refcount+data", "freeze+gc"])
@pytest.mark.usefixtures("superuser", "page_frames")
def test_without_privilege_the_answer_is_nearly_the_same(name, workers, start: Start, toolbox: Toolbox):
    mode = BY_NAME[name]
    program = str(toolbox.folder / "programs/cow_tree.py")
    command = [*NO_CAPABILITY, *toolbox.python, program, str(HEAP_MB), *mode.options]
    trial = Trial(start(command=command), mode, workers)
    for step in mode.steps:
        trial.step(step)
    with standing_still(trial.target):
        exact = ask("cow", trial.target.pid)
        done = toolbox.run(NO_CAPABILITY, "cow", trial.target.pid, "--format", "json")
    assert done.status == 0, done.errors
    assert {row["certainty"] for row in exact["workers"] if row["copied_bytes"] > IDLE_BYTES} <= {"exact"}
    poor = {row["pid"]: row for row in done.answer["workers"]}
    assert {row["certainty"] for row in poor.values()} == {"inferred"}
    assert [line for row in exact["workers"] for line in compare(row, poor[row["pid"]])] == []


def compare(exact: Any, poor: Any) -> list[str]:
    """Return where the answer of somebody without privilege is too far from the exact one."""
    pairs = [("copied", exact["copied_bytes"], poor["copied_bytes"], COPIED_RATIO)]
    pairs += [
        (cause, exact["causes"][f"{cause}_bytes"], poor["causes"][f"{cause}_bytes"], CAUSE_RATIO) for cause in CAUSES
    ]
    pairs.append(("at risk", exact["at_risk_bytes"], poor["at_risk_bytes"], CAUSE_RATIO))
    return [
        f"{name}: {other} instead of {true}"
        for name, true, other, ratio in pairs
        if abs(other - true) > max(ratio * true, 0 if true > LEAST_BYTES else LEAST_BYTES / 2)
    ]


def test_a_busy_parent_of_eight_is_told_without_privilege(start: Start, toolbox: Toolbox, superuser, page_frames):
    program = str(toolbox.folder / "programs/cow_tree.py")
    trial = Trial(start(command=[*NO_CAPABILITY, *toolbox.python, program, str(HEAP_MB)]), BY_NAME["parent-gc"], 8)
    trial.step("collect parent")
    with standing_still(trial.target):
        done = toolbox.run(NO_CAPABILITY, "cow", trial.target.pid, "--format", "json")
    for row in done.answer["workers"]:
        assert row["copied_bytes"] < IDLE_BYTES
        assert row["copied_by_parent_bytes"] > 10 * MIB


@pytest.mark.parametrize("workers", [1, 8])
def test_collections_of_a_parent_and_its_workers_are_told_without_privilege(
    workers, start: Start, toolbox: Toolbox, superuser, page_frames
):
    program = str(toolbox.folder / "programs/cow_tree.py")
    trial = Trial(start(command=[*NO_CAPABILITY, *toolbox.python, program, str(HEAP_MB)]), BY_NAME["gc"], workers)
    trial.step("collect all")
    trial.step("collect parent")
    with standing_still(trial.target):
        exact = ask("cow", trial.target.pid)
        done = toolbox.run(NO_CAPABILITY, "cow", trial.target.pid, "--format", "json")
    poor = {row["pid"]: row for row in done.answer["workers"]}
    for row in exact["workers"]:
        assert row["causes"]["gc_bytes"] > 10 * MIB
        assert compare(row, poor[row["pid"]]) == []
        assert poor[row["pid"]]["both_wrote_bytes"] >= row["both_wrote_bytes"] > 10 * MIB


def test_copies_that_a_fork_hides_are_said_to_be_in_doubt(start: Start, toolbox: Toolbox, superuser):
    program = str(toolbox.folder / "programs/cow_tree.py")
    target = start(command=[*NO_CAPABILITY, *toolbox.python, program, str(HEAP_MB)])
    for order in ("fork", "collect all"):
        target.order(order)
    assert "forked since" not in toolbox.run(NO_CAPABILITY, "cow", target.pid).output
    target.order("spawn all")
    assert "may be copied by a process that has forked since" in toolbox.run(NO_CAPABILITY, "cow", target.pid).output
    assert "forked since" not in run_airmem("cow", target.pid).stdout


def test_who_only_looks_at_data_did_not_collect(start: Start, toolbox: Toolbox, superuser, page_frames):
    """The data are nearly all that is tracked, and no page looks different: only the types that are left out tell."""
    program = str(toolbox.folder / "programs/cow_tree.py")
    trial = Trial(start(command=[*NO_CAPABILITY, *toolbox.python, program, str(5 * HEAP_MB)]), BY_NAME["refcount"], 1)
    trial.step("visit all")
    with standing_still(trial.target):
        exact = ask("cow", trial.target.pid)
        done = toolbox.run(NO_CAPABILITY, "cow", trial.target.pid, "--format", "json")
    (row,), (poor,) = exact["workers"], done.answer["workers"]
    assert row["causes"]["refcount_bytes"] > 50 * MIB
    assert row["at_risk_bytes"] < 0.03 * row["causes"]["refcount_bytes"]
    assert compare(row, poor) == []


def test_another_users_tree_is_refused_with_its_cause(start: Start, toolbox: Toolbox, superuser):
    target = start("resting")
    done = toolbox.run(user(UID), "cow", target.pid)
    assert done.status == 4
    assert f"airmem as uid {UID}" in done.errors


def test_a_tree_that_is_not_dumpable_is_refused_with_its_cause(start: Start, toolbox: Toolbox, superuser):
    program = str(toolbox.folder / "programs/resting.py")
    target = start(command=[*user(UID), *toolbox.python, program, "undumpable"])
    done = toolbox.run(user(UID), "cow", target.pid)
    assert done.status == 4
    assert "dumpable" in done.errors


def test_a_worker_that_may_not_be_read_hides_no_other(start: Start, toolbox: Toolbox, superuser):
    program = str(toolbox.folder / "programs/cow_tree.py")
    target = start(command=[*NO_CAPABILITY, *toolbox.python, program, str(HEAP_MB)])
    for order in ("fork", "hide first", "fork", "collect all"):
        target.order(order)
    hidden, other = target.truth["workers"]
    done = toolbox.run(NO_CAPABILITY, "cow", target.pid, "--format", "json")
    rows = {row["pid"]: row for row in done.answer["workers"]}
    assert rows[hidden]["causes"] is None
    assert rows[other]["causes"]["gc_bytes"] > 0.9 * rows[other]["copied_bytes"] > 10 * MIB
    assert [(gap["pid"], gap["reason"]) for gap in done.answer["gaps"] if gap["fact"] == "causes"] == [
        (hidden, "not_dumpable")
    ]
    text = toolbox.run(NO_CAPABILITY, "cow", target.pid).output
    assert "nothing that is still shared in the 1 of 2 processes that were read." in text


def test_a_worker_that_ends_with_the_originals_ends_no_answer(start: Start, page_frames):
    """The second worker has originals that the parent and the first have replaced; it ends before they are read."""
    target = start("cow_tree", HEAP_MB)
    for order in ("fork", "fork", "mutate first", "rewrite first", "mutate parent"):
        target.order(order)
    reader = open_source()
    snapshot = collect_tree(reader, target.pid, "status")
    keys = [one.process.key for one in snapshot.processes]
    first, second = ([key[0] for key in keys].index(pid) for pid in target.truth["workers"])
    with LiveContents(reader) as contents:
        for key in keys:
            contents.hold(key)
        members = attribute_writers(LiveAnonymousTables(reader, snapshot.processes), [None, 0, 0], [True] * 3)
        os.kill(keys[second][0], signal.SIGKILL)
        wait_until(lambda: read_stat(keys[second][0])[0] == "Z", "its end")
        told = explain_family(contents, keys, members, Fraction())
    assert told.gone == {second}
    causes = np.bincount(told.workers[first].causes[members[first].states == COPIED]) * PAGE_BYTES
    assert causes[DATA] > 20 * MIB
    assert causes[UNKNOWN] > 5 * MIB


@pytest.mark.parametrize("command", ["cow", "heap"])
def test_a_process_that_is_gone(command):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    done = run_airmem(command, child.pid)
    assert done.returncode == 3


def test_what_is_not_python_has_copies_without_causes(start: Start):
    shell = subprocess.Popen(["sh", "-c", "(sleep 1000; :) & (sleep 1000; :) & wait"], start_new_session=True)
    try:
        wait_until(lambda: len(children(shell.pid)) == 2, "two children")
        answer = ask("cow", shell.pid)
        for row in answer["workers"]:
            assert row["causes"]["unknown_bytes"] == row["copied_bytes"]
        assert answer["forecast"]["at_risk_bytes"] is None
        assert "not_cpython" in [gap["reason"] for gap in answer["gaps"]]
        assert run_airmem("heap", shell.pid).returncode == 5
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_worker_that_called_exec_shares_nothing(start: Start):
    target = start("cow_exec", 10_000)
    answer = ask("cow", target.pid)
    rows = {row["pid"]: row for row in answer["workers"]}
    executed = rows[target.truth["executed"]]
    assert not executed["inherited_bytes"]
    assert not executed["copied_bytes"]
    assert rows[target.truth["resting"]]["inherited_bytes"] > MIB


def test_workers_that_come_and_go(start: Start):
    target = start("cow_exec", 100_000)
    for _ in range(5):
        answer = ask("cow", target.pid)
        assert {target.truth["executed"], target.truth["resting"]} <= {row["pid"] for row in answer["workers"]}
        for row in answer["workers"]:
            if row["causes"]:
                assert sum(row["causes"][f"{cause}_bytes"] for cause in CAUSES) == row["copied_bytes"]


@pytest.mark.parametrize("delay", [0.15, 0.25, 0.35, 0.5, 0.8])
@pytest.mark.parametrize("command", ["cow", "heap"])
def test_a_target_that_ends_while_it_is_read(command, delay, start: Start):
    target = start("cow_tree", 120)
    target.order("fork")
    target.order("collect all")
    looking = subprocess.Popen(
        [sys.executable, "-m", "airmem", command, str(target.pid), "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(delay)
    target.stop()
    _, errors = looking.communicate(timeout=120)
    assert looking.returncode in (0, 3), errors
    assert "Traceback" not in errors
    assert (looking.returncode == 0) == (errors == "")
