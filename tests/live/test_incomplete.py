"""Answers from which processes are missing: what is known of the others is said as the bound that it is."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.live.conftest import Start, ask, by_pid, run_airmem

MIB = 1 << 20


@pytest.fixture
def whole(start: Start, tmp_path: Path, page_frames: None) -> Path:
    """A capture of a parent and its children, which share with each other what the parent has written anew."""
    target = start("ground_truth", "disjoint").freeze()
    path = tmp_path / "whole.airmem"
    assert run_airmem("capture", target.pid, "-o", path).returncode == 0
    return path


def cut(whole: Path, ratio: float) -> Path:
    """Return the beginning of a file, as a full disk leaves it."""
    raw = whole.read_bytes()
    path = whole.with_name(f"cut-{ratio}.airmem")
    path.write_bytes(raw[: int(len(raw) * ratio)])
    return path


def first_cut(whole: Path, most_processes: int) -> Path:
    """Return the longest beginning of a capture that has at most so many processes, and at least one."""
    for percent in range(95, 0, -6):
        path = cut(whole, percent / 100)
        done = run_airmem("ps", "--from", path, "--format", "json")
        if done.returncode == 0 and len(json.loads(done.stdout)["services"]) <= most_processes:
            return path
    raise AssertionError("no beginning of the capture has so few processes")


def test_sharing_in_a_capture_that_was_cut_is_a_bound(whole: Path) -> None:
    truth = ask("pss", "--from", whole)
    assert truth["tree"]["is_sharing_bound"] is False
    assert "is exact" in run_airmem("pss", "--from", whole).stdout
    path = first_cut(whole, len(truth["processes"]) - 1)
    answer = ask("pss", "--from", path)
    assert answer["tree"]["is_sharing_bound"] is True
    assert any(gap["fact"] == "sharing" and gap["reason"] == "capture_incomplete" for gap in answer["gaps"])
    rows = by_pid(truth)
    moved_bytes = 0
    for row in answer["processes"]:
        if row["sharing"] is not None:
            true = rows[row["pid"]]["sharing"]
            assert row["sharing"]["parent_bytes"] == true["parent_bytes"]
            assert row["sharing"]["siblings_bytes"] <= true["siblings_bytes"]
            assert row["sharing"]["outside_bytes"] >= true["outside_bytes"]
            moved_bytes += row["sharing"]["outside_bytes"] - true["outside_bytes"]
    assert moved_bytes > 0, "the figures must differ, or this tests nothing"
    text = run_airmem("pss", "--from", path).stdout
    assert ">= SIBLINGS" in text
    assert "<= OUTSIDE" in text
    assert "is exact" not in text
    assert "the kernel moved pages" not in text


def test_whose_children_are_missing_has_not_none(whole: Path) -> None:
    path = first_cut(whole, 1)
    assert "no descendants could be read" in run_airmem("cow", "--from", path).stdout
    assert "nothing can be shared" not in run_airmem("cow", "--from", path).stdout
    assert "no descendants that could be read" in run_airmem("pss", "--from", path).stdout


def test_what_has_no_memory_has_no_page_either(start: Start) -> None:
    zombie = start("zombie").truth["zombie"]
    tree = ask("pss", zombie, status=5)["tree"]
    assert tree["distinct_bytes"] is None
    done = run_airmem("pss", zombie, "--exclusive")
    assert "0 KiB" not in done.stdout.partition("Cgroup")[0]
    assert "no_kpagecount" not in done.stdout


def test_doctor_and_the_commands_say_the_same_of_a_process_without_memory(start: Start) -> None:
    zombie = start("zombie").truth["zombie"]
    told = {(one["command"], one["depth"]): one["possible"] for one in ask("doctor", zombie)["commands"]}
    said = set()
    for depth in ("status", "rollup", "mappings", "pages"):
        done = run_airmem("pss", zombie, "--depth", depth)
        assert (told["pss", depth], done.returncode) == (False, 5), depth
        said.add(done.stderr)
    for name in ("cow", "heap"):
        done = run_airmem(name, zombie)
        assert (told[name, None], done.returncode) == (False, 5), name
        said.add(done.stderr)
    assert len(said) == 1, "one cause, one wording"


def test_a_refused_root_is_told_before_its_tree_is_read(
    start: Start, private_airmem: list[str], superuser: None
) -> None:
    """Without numpy: that it is missing would be told by whoever gets as far as page tables."""
    target = start("zombie")
    user = ["setpriv", "--reuid=50000", "--regid=50000", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    done = run_airmem("cow", target.pid, command=[*user, *private_airmem])
    assert done.returncode == 4, done.stderr
    assert "numpy" not in done.stderr


def advised(text: str) -> list[str]:
    """Return the words of the command that an answer ends with."""
    last = text.rstrip("\n").rpartition("\n")[2]
    assert last.startswith("Next: airmem "), last
    return shlex.split(last.removeprefix("Next: airmem "))


def test_what_a_file_advises_to_run_next_works_where_its_processes_never_were(start: Start, tmp_path: Path) -> None:
    target = start("ground_truth", "disjoint")
    path, bundle = tmp_path / "a file.airmem", tmp_path / "evidence.tar.gz"
    assert run_airmem("capture", target.pid, "-o", path).returncode == 0
    assert run_airmem("hang-dump", target.pid, "-o", bundle).returncode == 0
    target.stop()
    for name in ("ps", "pss", "cow"):
        words = advised(run_airmem(name, "--from", path).stdout)
        assert words[1:3] == ["--from", str(path)]
        done = run_airmem(*words)
        assert done.returncode == 0, (words, done.stderr)
        assert str(target.pid) in done.stdout
    text = run_airmem("hang-dump", "--from", bundle).stdout
    if "Next:" in text:
        assert run_airmem(*advised(text)).returncode == 0


def test_what_a_capture_lacks_is_named_with_the_option_that_keeps_it(start: Start, tmp_path: Path) -> None:
    target = start("ground_truth", "disjoint")
    path = tmp_path / "plain.airmem"
    assert run_airmem("capture", target.pid, "--no-pages", "-o", path).returncode == 0
    done = run_airmem("heap", "--from", path)
    assert done.returncode == 5
    assert "--contents -o FILE" in done.stderr
    answer = ask("pss", "--from", path, "--exclusive")
    (gap,) = [one for one in answer["gaps"] if one["fact"] == "exclusive_bytes"]
    assert gap["reason"] == "not_captured"
    assert "capability" not in gap["remedy"].lower()
    whole = tmp_path / "pages.airmem"
    assert run_airmem("capture", target.pid, "-o", whole).returncode == 0
    (gap,) = [one for one in ask("cow", "--from", whole)["gaps"] if one["fact"] == "causes"]
    assert gap["reason"] == "no_contents"
    assert "--contents" in gap["remedy"]
