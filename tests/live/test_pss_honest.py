"""`airmem pss` where something cannot be read: each a gap with its true cause, and never a zero."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Start, ask, by_pid, run_airmem
from tests.live.oracle import read_rollup

MIB = 1 << 20
UID = 50000
V1_MEMORY = Path("/sys/fs/cgroup/memory")
POOR = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]


def reasons(answer: Any) -> dict[tuple[int | None, str], str]:
    """Return (pid, fact) -> reason of each gap; every gap has a cause and a remedy."""
    for gap in answer["gaps"]:
        assert gap["detail"]
        assert gap["remedy"]
    return {(gap["pid"], gap["fact"]): gap["reason"] for gap in answer["gaps"]}


def test_a_zombie_is_a_gap(start: Start) -> None:
    target = start("zombie")
    answer = ask("pss", target.pid)
    row = by_pid(answer)[target.truth["zombie"]]
    assert row["rss_bytes"] is None
    assert row["pss_bytes"] is None
    assert reasons(answer)[target.truth["zombie"], "memory"] == "zombie"
    assert answer["tree"]["unreadable_count"] == 0
    assert answer["tree"]["is_lower_bound"] is False  # it certainly holds nothing


def test_a_zombie_asked_for_cannot_be_measured(start: Start) -> None:
    done = run_airmem("pss", start("zombie").truth["zombie"])
    assert done.returncode == 5
    assert "ended" in done.stderr


def test_a_kernel_thread_has_no_memory() -> None:
    if not Path("/proc/2/stat").exists() or "kthreadd" not in Path("/proc/2/stat").read_text():
        pytest.skip("needs the first pid namespace, where pid 2 is a thread of the kernel")
    done = run_airmem("pss", 2)
    assert done.returncode == 5
    assert "kernel" in done.stderr


def test_a_child_in_its_parents_memory_is_counted_once(start: Start) -> None:
    target = start("borrows_memory")
    for depth in ("rollup", "pages"):
        answer = ask("pss", target.pid, "--depth", depth)
        rows = by_pid(answer)
        assert rows[target.pid]["uss_bytes"] > target.truth["bytes"]
        assert rows[target.truth["child"]]["pss_bytes"] == 0
        assert reasons(answer)[target.truth["child"], "memory"] == "same_memory"
        assert answer["tree"]["pss_sum_bytes"] == rows[target.pid]["pss_bytes"]
        assert answer["tree"]["is_lower_bound"] is False


def test_airmem_itself_is_not_in_the_tree() -> None:
    answer = ask("pss", os.getpid(), "--depth", "rollup")
    assert os.getpid() in by_pid(answer)
    assert not any("airmem pss" in row["title"] or "-m airmem" in row["title"] for row in answer["processes"])


def test_a_process_that_is_gone() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    done = run_airmem("pss", process.pid)
    assert done.returncode == 3
    assert str(process.pid) in done.stderr


def test_a_tree_whose_children_come_and_go(start: Start) -> None:
    target = start("restless")
    gone_count = 0
    for depth in ["rollup", "pages", "mappings", "status", "auto"] * 3:
        answer = ask("pss", target.pid, "--depth", depth)
        rows = by_pid(answer)
        assert rows[target.pid]["rss_bytes"]
        assert rows[target.truth["child"]]["rss_bytes"]
        for (pid, fact), reason in reasons(answer).items():
            gone_count += reason == "gone"
            assert (pid, fact) not in ((target.pid, "process"), (target.truth["child"], "process"))
            assert reason in ("gone", "zombie", "changing", "page_table_unreadable", "no_page_frames", "root_cgroup")
        for row in answer["processes"]:
            if row["sharing"] and (row["pid"], "sharing") not in reasons(answer):
                assert row["uss_bytes"] + sum(row["sharing"].values()) == row["rss_bytes"]


def test_the_one_asked_for_ends_midway() -> None:
    for step in range(12):
        process = subprocess.Popen([sys.executable, "-c", "x = list(range(10**6)); import time; time.sleep(60)"])
        timer = threading.Timer(0.1 + step * 0.03, lambda process=process: (process.kill(), process.wait()))
        timer.start()
        done = run_airmem("pss", process.pid)
        timer.join()
        assert done.returncode in (0, 3, 5), done.stderr
        assert done.returncode == 0 or done.stderr


def test_another_users_process_is_denied(superuser: None, start: Start, private_airmem: list[str]) -> None:
    target = start("zombie")
    answer = ask("pss", target.pid, status=4, command=[*POOR, *private_airmem])
    row = by_pid(answer)[target.pid]
    assert row["rss_bytes"] == read_rollup(target.pid, "status")["VmRSS"]
    assert row["pss_bytes"] is None
    assert row["uss_bytes"] is None
    assert row["sharing"] is None
    assert reasons(answer)[target.pid, "pss_bytes"] == "other_user"
    assert answer["tree"]["is_lower_bound"] is True
    assert answer["tree"]["unreadable_count"] == 2


def test_the_group_matters_too(
    superuser: None, start: Start, private_python: list[str], private_airmem: list[str]
) -> None:
    target = start("undumpable", 1, python=[*POOR, *private_python])
    other = [*POOR[:2], f"--regid={UID + 1}", *POOR[3:]]
    answer = ask("pss", target.pid, status=4, command=[*other, *private_airmem])
    assert reasons(answer)[target.pid, "pss_bytes"] == "other_group"


@pytest.fixture
def poor_tree(superuser: None, start: Start, private_python: list[str]) -> Any:
    """A tree of uid 50000 with a child that is not dumpable."""
    return start("undumpable", 4096, python=[*POOR, *private_python])


def test_doctor_looks_below_the_process_that_is_asked_for(poor_tree: Any, private_airmem: list[str]) -> None:
    answer = ask("doctor", poor_tree.pid, command=[*POOR, *private_airmem])
    rollup = next(one for one in answer["commands"] if (one["command"], one["depth"]) == ("pss", "rollup"))
    assert (rollup["possible"], rollup["reason"]) == ("partly", "not_dumpable")
    assert "descendants refuse it" in rollup["cause"]
    assert rollup["line"]


def test_root_reads_it_all(poor_tree: Any) -> None:
    answer = ask("pss", poor_tree.pid, "--depth", "rollup")
    assert all(row["pss_bytes"] for row in answer["processes"])
    assert answer["tree"]["is_lower_bound"] is False


def test_a_poor_user_reads_its_own_tree(poor_tree: Any, private_airmem: list[str]) -> None:
    poor_tree.freeze()
    answer = ask("pss", poor_tree.pid, command=[*POOR, *private_airmem])
    hidden, rows, found = poor_tree.truth["hidden"], by_pid(answer), reasons(answer)
    for pid in (poor_tree.pid, poor_tree.truth["child"]):
        assert rows[pid]["depth"] == "rollup"
        assert rows[pid]["rss_bytes"] == read_rollup(pid)["Rss"]
        assert rows[pid]["pss_anon_bytes"] == read_rollup(pid)["Pss_Anon"]  # airmem runs from the same files
    assert rows[hidden]["depth"] == "status"
    assert rows[hidden]["rss_bytes"] == read_rollup(hidden, "status")["VmRSS"]
    assert rows[hidden]["pss_bytes"] is None
    assert found[hidden, "pss_bytes"] == "not_dumpable"
    assert found[None, "sharing"] == "no_page_frames"
    assert answer["tree"]["is_lower_bound"] is True
    assert answer["tree"]["unreadable_count"] == 1


def test_one_that_is_not_dumpable_is_denied(poor_tree: Any, private_airmem: list[str]) -> None:
    hidden = poor_tree.truth["hidden"]
    done = run_airmem("pss", hidden, command=[*POOR, *private_airmem])
    assert done.returncode == 4
    assert "is not dumpable" in done.stderr
    answer = ask("pss", hidden, status=4, command=[*POOR, *private_airmem])
    assert reasons(answer)[hidden, "pss_bytes"] == "not_dumpable"


@pytest.fixture
def control_group(superuser: None) -> Iterator[Path]:
    """A version 1 memory control group, removed afterwards."""
    folder = V1_MEMORY / f"airmem-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as problem:
        pytest.skip(f"needs a writable version 1 memory hierarchy at {V1_MEMORY}: {problem.strerror}")
    yield folder
    for _ in range(200):
        try:
            folder.rmdir()
            return
        except OSError:
            time.sleep(0.05)


def enter(folder: Path) -> list[str]:
    """Return a command that runs another one in a control group."""
    return ["sh", "-c", f'echo $$ > {folder}/cgroup.procs && exec "$@"', "sh"]


@pytest.fixture
def bounded_tree(control_group: Path, start: Start, private_python: list[str]) -> Iterator[Any]:
    """A tree of uid 50000 with a child that is not dumpable, in a control group of its own."""
    target = start("undumpable", 8192, python=[*enter(control_group), *POOR, *private_python])
    yield target
    target.stop()


def test_what_cannot_be_read_is_bounded_together(bounded_tree: Any, private_airmem: list[str]) -> None:
    answer = ask("pss", bounded_tree.pid, command=[*POOR, *private_airmem])
    rollup = read_rollup(bounded_tree.truth["hidden"])
    truth_bytes = rollup["Pss_Anon"] + rollup["Pss_Shmem"]
    bound_bytes = answer["tree"]["unreadable_bound_bytes"]
    assert truth_bytes >= bounded_tree.truth["own_bytes"]
    assert truth_bytes - MIB // 4 <= bound_bytes <= truth_bytes + 2 * MIB
    assert answer["tree"]["is_lower_bound"] is True
    assert answer["tree"]["cgroup"]["version"] == 1


def test_a_stranger_in_the_group_takes_the_bound_away(
    bounded_tree: Any, control_group: Path, start: Start, private_airmem: list[str]
) -> None:
    stranger = start("zombie", python=[*enter(control_group), sys.executable])
    answer = ask("pss", bounded_tree.pid, command=[*POOR, *private_airmem])
    assert answer["tree"]["unreadable_bound_bytes"] is None
    assert reasons(answer)[None, "unreadable_bound_bytes"] == "bound_precondition"
    assert any(str(stranger.pid) in gap["detail"] for gap in answer["gaps"])
    stranger.stop()


def test_part_of_the_tree_elsewhere_takes_the_bound_away(bounded_tree: Any, private_airmem: list[str]) -> None:
    child = bounded_tree.truth["child"]
    (V1_MEMORY / "cgroup.procs").write_text(str(child))
    answer = ask("pss", bounded_tree.pid, command=[*POOR, *private_airmem])
    assert answer["tree"]["unreadable_bound_bytes"] is None
    assert any(str(child) in gap["detail"] for gap in answer["gaps"] if gap["reason"] == "bound_precondition")


def hidden_proc(level: int) -> list[str]:
    """Return a command that runs another one where /proc hides what it may not read."""
    return ["unshare", "--mount", "sh", "-c", f'mount -t proc -o hidepid={level} proc /proc && exec "$@"', "sh"]


@pytest.fixture
def mounts(superuser: None) -> None:
    """Skip where no mount namespace can be made."""
    if subprocess.run([*hidden_proc(2), "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs CAP_SYS_ADMIN, for a mount namespace with another /proc")


def test_a_hidden_process_is_no_missing_one(mounts: None, start: Start, private_airmem: list[str]) -> None:
    done = run_airmem("pss", start("zombie").pid, command=[*hidden_proc(2), *POOR, *private_airmem])
    assert done.returncode == 4
    assert "hidepid" in done.stderr


def test_a_hidden_child_is_a_gap(mounts: None, poor_tree: Any, private_airmem: list[str]) -> None:
    answer = ask("pss", poor_tree.pid, command=[*hidden_proc(2), *POOR, *private_airmem])
    assert poor_tree.truth["hidden"] not in by_pid(answer)
    assert reasons(answer)[poor_tree.truth["hidden"], "process"] == "hidepid"
    assert answer["tree"]["is_lower_bound"] is True


@pytest.mark.parametrize("depth", ["auto", "pages"])
def test_numpy_is_not_needed(start: Start, tmp_path: Path, depth: str, page_frames: None) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('not here')\n")
    target = start("zombie").freeze()
    answer = ask("pss", target.pid, "--depth", depth, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert answer["depth"] == "rollup"
    assert reasons(answer)[None, "sharing"] == "no_numpy"
    row = by_pid(answer)[target.pid]
    assert row["rss_bytes"] == read_rollup(target.pid)["Rss"]
    assert row["sharing"] is None
    assert answer["tree"]["distinct_bytes"] is None


def test_a_leader_that_has_ended_hides_no_memory(start: Start) -> None:
    target = start("headless")
    answer = ask("pss", target.pid, "--depth", "rollup")
    assert by_pid(answer)[target.pid]["uss_bytes"] >= target.truth["own_bytes"]
    assert answer["tree"]["is_lower_bound"] is False


@pytest.mark.parametrize("form", ["text", "json", "csv"])
def test_hostile_titles_are_inert(start: Start, form: str) -> None:
    target = start("hostile")
    done = run_airmem("pss", target.pid, "--format", form, "--depth", "rollup", "-v")
    assert done.returncode == 0, done.stderr
    controls = {letter for letter in done.stdout if ord(letter) < 32 or 127 <= ord(letter) < 160} - {"\n"}
    assert not controls
    assert "\u202e" not in done.stdout
    assert "s3cr3t" not in done.stdout
    if form == "text":
        assert sum(str(target.pid) in line for line in done.stdout.splitlines()) <= 3
    if form == "csv":
        assert len(done.stdout.strip().splitlines()) == 1 + len(target.tree)


def test_an_interrupted_reader_is_no_fault(start: Start) -> None:
    target = start("zombie")
    line = [sys.executable, "-m", "airmem", "pss", str(target.pid), "--every", "1"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in errors
