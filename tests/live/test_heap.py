"""`airmem heap` against programs that count their own objects afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.live.conftest import Start, ask, by_pid, run_airmem
from tests.live.pythons import PYTHONS
from tests.live.tree import wait_until

COUNT = 5000
WITHIN = 0.005
UNTRACKED = ("builtins.tuple", "builtins.dict")
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/heap.json").read_text(encoding="utf-8"))
POOR = ["setpriv", "--reuid=50000", "--regid=50000", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]


def by_type(answer: Any) -> dict[str, Any]:
    return {one["type"]: one for one in answer["types"]}


@pytest.fixture(params=PYTHONS.values(), ids=PYTHONS.keys())
def python(request: pytest.FixtureRequest) -> list[str]:
    return [request.param]


def test_the_types_of_every_python_are_counted(start: Start, python: list[str]) -> None:
    target = start("objects", COUNT, python=python)
    answer = ask("heap", target.pid)
    jsonschema.validate(answer, SCHEMA, jsonschema.Draft202012Validator)
    types = by_type(answer)
    truth = target.order("count").truth
    wrong = {
        name: (count, types.get(name))
        for name, count in truth["tracked"].items()
        if count >= 1000 and name not in UNTRACKED and abs(types[name]["count"] - count) > count * WITHIN
    }
    assert wrong == {}
    assert types["builtins.tuple"]["count"] >= 2 * COUNT
    assert types["builtins.dict"]["count"] >= 2 * COUNT
    assert types["__main__.Text"]["count"] == COUNT
    assert types["builtins.bytes"]["shallow_bytes"] > COUNT * 200
    version = subprocess.run([*python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    assert answer["python_version"] == version.rstrip("+")
    assert answer["gaps"] == []


def test_sizes_are_those_that_the_target_tells_itself(start: Start, python: list[str]) -> None:
    target = start("sizes", 2000, python=python)
    types = by_type(ask("heap", target.pid))
    for name, (count, size_bytes) in target.truth["sizes"].items():
        assert types[name]["count"] == count
        assert types[name]["shallow_bytes"] == pytest.approx(size_bytes, rel=WITHIN), name


def test_what_children_share_is_inherited_and_what_they_make_is_their_own(start: Start, python: list[str]) -> None:
    target = start("objects", COUNT, 2, "grow", python=python)
    answer = ask("heap", target.pid)
    rows = by_pid(answer)
    parent = rows[target.pid]
    assert (parent["own_count"], parent["own_bytes"]) == (answer["object_count"], answer["heap_bytes"])
    assert (parent["inherited_count"], parent["inherited_bytes"]) == (0, 0)
    for pid in target.truth["children"]:
        row = rows[pid]
        own = {one["type"]: one for one in row["types"]}
        assert own["service.cache.Leaked"]["count"] == COUNT // 10
        assert row["inherited_count"] > 0.5 * parent["own_count"]
        assert row["own_count"] + row["inherited_count"] == pytest.approx(parent["own_count"], rel=0.05)


def test_a_child_that_collected_has_all_for_itself(start: Start) -> None:
    target = start("objects", COUNT, 1, "collect")
    answer = ask("heap", target.pid)
    (child,) = target.truth["children"]
    row = by_pid(answer)[child]
    own = {one["type"]: one for one in row["types"]}
    for name in ("__main__.Slotted", "builtins.list"):
        assert own[name]["count"] == pytest.approx(by_type(answer)[name]["count"], rel=WITHIN)
    alone = by_type(ask("heap", child))
    for name, one in by_type(answer).items():
        if one["count"] >= 1000:
            assert alone[name]["count"] == pytest.approx(one["count"], rel=WITHIN)


def test_growth_ranks_the_leak_first(start: Start, tmp_path: Path) -> None:
    target = start("objects", COUNT)
    before = tmp_path / "before.json"
    assert run_airmem("heap", target.pid, "--format", "json", "-o", before).returncode == 0
    assert before.stat().st_mode & 0o777 == 0o600
    target.order("grow 3000")
    answer = ask("heap", target.pid, "--diff", before)
    jsonschema.validate(answer, SCHEMA, jsonschema.Draft202012Validator)
    (first, *_) = answer["diff"]["types"]
    assert (first["type"], first["before_count"], first["after_count"]) == ("service.cache.Leaked", 0, 3000)
    assert answer["diff"]["before_pid"] == target.pid
    shown = run_airmem("heap", target.pid, "--diff", before).stdout
    assert "+3000" in next(line for line in shown.splitlines() if "service.cache.Leaked" in line)


def test_two_processes_are_compared(start: Start) -> None:
    one, other = start("objects", COUNT), start("objects", COUNT)
    other.order("grow 2000")
    (first, *_) = ask("heap", other.pid, "--diff", one.pid)["diff"]["types"]
    assert (first["type"], first["after_count"] - first["before_count"]) == ("service.cache.Leaked", 2000)


def test_looking_again_and_again_compares_with_the_first_look(start: Start) -> None:
    target = start("objects", COUNT)
    line = [
        sys.executable,
        "-m",
        "airmem",
        "heap",
        str(target.pid),
        "--every",
        "0.1",
        "--for",
        "1h",
        "--format",
        "json",
    ]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert "diff" not in json.loads(process.stdout.readline())
        target.order("grow 500")
        for printed in process.stdout:
            (first, *_) = json.loads(printed)["diff"]["types"] or [{"after_count": 0}]
            if first["after_count"] == 500:
                assert first["type"] == "service.cache.Leaked"
                break
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def test_the_places_of_a_type(start: Start) -> None:
    target = start("objects", COUNT)
    for name in ("__main__.Slotted", "Slotted"):
        answer = ask("heap", target.pid, "--type", name)
        assert sum(one["count"] for one in answer["places"]) == COUNT
        assert all(int(one["start_address"], 16) < int(one["end_address"], 16) for one in answer["places"])
    assert sum(one["count"] for one in ask("heap", target.pid, "--type", "Text")["places"]) == COUNT
    done = run_airmem("heap", target.pid, "--type", "Sloted")
    assert done.returncode == 2
    assert "Slotted" in done.stderr


def test_a_capture_with_contents_answers_as_the_target_did(start: Start, tmp_path: Path) -> None:
    target = start("objects", COUNT, 1, "grow")
    file, bare = tmp_path / "with.airmem", tmp_path / "without.airmem"
    assert run_airmem("capture", target.pid, "--contents", "-o", file).returncode == 0
    live, captured = ask("heap", target.pid), ask("heap", "--from", file)
    assert captured["types"] == live["types"]
    assert captured["python_version"] == live["python_version"]
    assert [row["own_count"] for row in captured["processes"]] == [row["own_count"] for row in live["processes"]]
    target.order("grow 700")
    (first, *_) = ask("heap", target.pid, "--diff", file)["diff"]["types"]
    assert (first["type"], first["after_count"]) == ("service.cache.Leaked", 700)
    assert run_airmem("capture", target.pid, "-o", bare).returncode == 0
    done = run_airmem("heap", "--from", bare)
    assert done.returncode == 5
    assert "--contents" in done.stderr


def test_hostile_names_are_inert(start: Start) -> None:
    target = start("objects", COUNT)
    for form in ("text", "json", "csv"):
        shown = run_airmem("heap", target.pid, "--format", form, "--top", "500").stdout
        assert "Evil" in shown
        assert "\x1b" not in shown
        assert "\x07" not in shown
    places = run_airmem("heap", target.pid, "--type", "Evil\x1b[31m\n").stdout
    assert "\x1b" not in places
    missing = run_airmem("heap", target.pid, "--type", "Evi\x1b[31m")
    assert missing.returncode == 2
    assert "\x1b" not in missing.stderr


def test_a_target_that_collects_all_the_time_is_counted_and_said_to_change(start: Start) -> None:
    target = start(command=[sys.executable, "-c", COLLECTING])
    for _ in range(10):
        answer = ask("heap", target.pid)
        assert by_type(answer)["builtins.list"]["count"] == pytest.approx(200_000, rel=0.01)
        if answer["accuracy"]["assumed_count"]:
            assert [(gap["pid"], gap["reason"]) for gap in answer["gaps"]] == [(target.pid, "changing")]
            return
    pytest.fail("ten looks at a process that does nothing but collect met no collection")


COLLECTING = """
import gc, json, os
kept = [[number] for number in range(200_000)]
print("READY", json.dumps({"pid": os.getpid()}), flush=True)
while True:
    gc.collect()
"""


def test_what_is_no_cpython_cannot_be_measured(start: Start) -> None:
    target = start(command=["sh", "-c", "echo 'READY {\"pid\": '$$'}'; read line"])
    done = run_airmem("heap", target.pid)
    assert done.returncode == 5
    assert "CPython" in done.stderr


def test_a_free_threaded_build_is_refused(start: Start) -> None:
    python = os.environ.get("AIRMEM_FREE_THREADED_PYTHON")
    if not python:
        pytest.skip("needs a free-threaded Python, named by AIRMEM_FREE_THREADED_PYTHON")
    target = start("objects", 100, python=[python])
    done = run_airmem("heap", target.pid)
    assert done.returncode == 5
    assert "free-threaded" in done.stderr


def test_a_child_that_is_another_program_is_a_gap(start: Start) -> None:
    target = start("headless_child", command=["sh", "-c", PARENT_OF_SH, sys.executable])
    answer = ask("heap", target.pid)
    (gap,) = answer["gaps"]
    assert gap["reason"] == "not_cpython"
    row = by_pid(answer)[gap["pid"]]
    assert row["own_count"] is None


PARENT_OF_SH = (
    'exec "$0" -c "import json, os, subprocess, sys;'
    " child = subprocess.Popen(['sh', '-c', 'read line'], stdin=subprocess.PIPE);"
    " print('READY', json.dumps({'pid': os.getpid()}), flush=True); sys.stdin.read()\""
)


def test_a_process_that_is_gone() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert run_airmem("heap", process.pid).returncode == 3


@pytest.mark.parametrize("ending", ["kill", "exec"])
def test_a_target_that_ends_or_calls_exec_midway_is_gone(start: Start, ending: str) -> None:
    target = start("objects", 60_000)
    order = f"{ending}\n"
    line = [sys.executable, "-m", "airmem", "heap", str(target.pid)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: has_memory_open(process.pid, target.pid), "airmem to open the target's memory")
        if ending == "kill":
            os.kill(target.pid, signal.SIGKILL)
        else:
            assert target.process.stdin is not None
            target.process.stdin.write(order)
            target.process.stdin.flush()
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 3, output + errors
    assert "while its memory was read" in errors or "ended" in errors
    assert "Traceback" not in errors


def has_memory_open(pid: int, target_pid: int) -> bool:
    """Whether a process has opened the memory of another; a process that has ended has not."""
    links = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return f"/proc/{target_pid}/mem" in links


def test_a_child_that_ends_midway_is_a_gap_and_the_rest_is_told(start: Start) -> None:
    target = start("objects", 60_000, 1, "collect")
    (child,) = target.truth["children"]
    line = [sys.executable, "-m", "airmem", "heap", str(target.pid), "--format", "json"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: has_memory_open(process.pid, child), "airmem to open the child's memory")
        os.kill(child, signal.SIGKILL)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, errors
    answer = json.loads(output)
    assert [(gap["pid"], gap["reason"]) for gap in answer["gaps"]] == [(child, "gone")]
    assert by_pid(answer)[child]["own_count"] is None
    assert answer["object_count"] > 10 * 60_000


def test_another_users_process_is_refused_with_the_remedy(
    start: Start, superuser: None, private_airmem_numpy: list[str]
) -> None:
    target = start("objects", 100)
    done = run_airmem("heap", target.pid, command=[*POOR, *private_airmem_numpy])
    assert done.returncode == 4
    assert "uid 0" in done.stderr


def test_its_own_user_needs_no_privilege(
    start: Start, superuser: None, private_python: list[str], private_airmem_numpy: list[str]
) -> None:
    target = start("objects", COUNT, 1, "grow", python=[*POOR, *private_python])
    answer = ask("heap", target.pid, command=[*POOR, *private_airmem_numpy])
    (child,) = target.truth["children"]
    row = by_pid(answer)[child]
    own = {one["type"]: one["count"] for one in row["types"]}
    assert own["service.cache.Leaked"] == COUNT // 10
    assert row["inherited_count"] > 0.5 * answer["object_count"]
    truth = target.order("count").truth
    types = by_type(answer)
    for name, count in truth["tracked"].items():
        if count >= 1000 and name not in UNTRACKED:
            assert abs(types[name]["count"] - count) <= count * WITHIN
