"""memray is put into real processes and interrupted in every way: afterwards they live, untraced, and allocate."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Start, run_airmem
from tests.live.tree import Target, is_gone, wait_until

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="memray attaches through gdb, which is not here")

DEADLINE_SECONDS = 240.0
WAYS = ("SIGINT", "SIGTERM", "SIGKILL", "timeout")
EVERY_ROUND = [
    *((way, "blocked", "attaching", turn) for way in WAYS for turn in range(2)),
    *((way, mode, moment, 0) for way in WAYS for mode in ("idle", "busy") for moment in ("attaching", "recording")),
]
ROUNDS = (
    EVERY_ROUND
    if os.environ.get("AIRMEM_EVERY_ROUND")
    else [
        *((way, "blocked", "attaching", 0) for way in WAYS),
        *((way, "idle", "recording", 0) for way in WAYS),
    ]
)
"""`make harm` goes through every round, which takes some ten minutes; the others are a choice of them."""


@pytest.fixture(autouse=True)
def may_trace() -> None:
    """Skip where the kernel permits no debugger."""
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    if scope.exists() and int(scope.read_text()) > 0 and os.geteuid() != 0:
        pytest.skip("Yama permits no debugger here (kernel.yama.ptrace_scope)")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder for traces, and at the end no supervisor at work."""
    yield tmp_path / "traces"
    for path in (tmp_path / "traces").glob("*/state.json"):
        wait_for(lambda path=path: is_gone(json.loads(path.read_text())["supervisor_pid"]), "a supervisor to end")


def wait_for(condition: Any, what: str) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited {DEADLINE_SECONDS} s for {what}"
        time.sleep(0.02)


def state_of(place: Path) -> dict[str, Any]:
    """Return what the supervisor of the one trace says."""
    for path in place.glob("*/state.json"):
        return dict(json.loads(path.read_text()))
    return {"stage": ""}


def tracer_of(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("TracerPid:")[2].split()[0])


def memray_is_starting(pid: int) -> bool:
    """Whether `memray attach` for this process has been started."""
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"attach" in words and str(pid).encode() in words:
                return True
    return False


def begin(
    target: Target, place: Path, *prefix: str, wait: int = 60, options: tuple[str, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start airmem; it is to be interrupted."""
    line = [*prefix, sys.executable, "-m", "airmem", "trace", "--attach", str(target.pid), "--duration", "60"]
    return subprocess.Popen(
        [*line, "--wait", str(wait), "--yes", "-o", str(place), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def bring_to(moment: str, mode: str, target: Target, place: Path, stop_file: Path) -> None:
    """Wait until the trace has got so far; a target that is to block is let block just before the debugger comes."""
    if mode == "blocked":
        wait_for(lambda: memray_is_starting(target.pid), "memray to start")
        stop_file.touch()
        wait_for(lambda: tracer_of(target.pid), "the debugger to come")
        time.sleep(0.5)  # any later moment will do, too
    elif moment == "attaching":
        wait_for(lambda: tracer_of(target.pid) or state_of(place)["stage"] == "tracking", "the debugger to come")
    else:
        wait_for(lambda: state_of(place)["stage"] == "tracking", "the recording to begin")


def check_left_as_found(target: Target, place: Path) -> None:
    """Check that nobody traces the target, that memray has left it, that it lives and that it allocates."""
    wait_for(lambda: state_of(place)["stage"] in ("ended", ""), "the end")  # the folder of a failed one is removed
    assert target.process.poll() is None
    assert tracer_of(target.pid) == 0
    assert str(place) not in Path(f"/proc/{target.pid}/maps").read_text()
    before = target.truth["count"]
    assert target.order("allocate").truth["count"] > before
    assert target.order("again").truth["count"] > before + 1
    assert target.process.poll() is None


@pytest.mark.parametrize(("way", "mode", "moment", "turn"), ROUNDS)
def test_an_interrupted_attach_leaves_the_target_as_it_was(  # noqa: PLR0917
    way, mode, moment, turn, start: Start, place, tmp_path
):
    stop_file = tmp_path / "stop"
    target = start("allocating", mode, stop_file)
    seconds = {"attaching": "6", "recording": "20"}[moment]
    prefix = ("timeout", "--kill-after=60", seconds) if way == "timeout" else ()
    airmem = begin(target, place, *prefix)
    bring_to(moment, mode, target, place, stop_file)
    if way != "timeout":
        airmem.send_signal(getattr(signal, way))
    output, errors = airmem.communicate(timeout=DEADLINE_SECONDS)
    assert b"Traceback" not in output + errors
    check_left_as_found(target, place)
    if mode != "blocked" and moment == "recording":
        assert [path.suffix for path in place.glob("*/*") if path.suffix == ".bin"] == [".bin"]
        assert state_of(place)["outcome"] in ("stopped", "airmem_gone")


def test_a_target_that_blocks_is_let_go_after_the_wait(start: Start, place, tmp_path):
    target = start("allocating", "blocked", tmp_path / "stop")
    airmem = begin(target, place, wait=4)
    bring_to("attaching", "blocked", target, place, tmp_path / "stop")
    _, errors = airmem.communicate(timeout=DEADLINE_SECONDS)
    assert airmem.returncode == 5, errors
    assert b"neither allocated nor reached the interpreter" in errors
    assert tracer_of(target.pid) == 0
    assert target.order("allocate").truth["count"] > 1
    assert [*place.glob("*")] == []


def test_a_recording_ends_after_its_duration(start: Start, place):
    target = start("allocating", "busy")
    line = ("trace", "--attach", target.pid, "--duration", "2", "--yes", "--no-analyze", "-o", place)
    done = run_airmem(*line, env={**os.environ, "SOME_SECRET": "do-not-keep"})
    assert done.returncode == 0, done.stderr
    check_left_as_found(target, place)
    assert state_of(place)["outcome"] == "finished"
    (capture,) = place.glob("*/*.bin")
    assert capture.stat().st_mode & 0o077 == 0
    assert capture.read_bytes()[:4] == bytes.fromhex("04224d18")  # compressed: memray has closed it
    assert not any(b"do-not-keep" in path.read_bytes() for path in place.rglob("*") if path.is_file())


def test_what_stands_still_is_refused(start: Start, place, tmp_path):
    (tmp_path / "stop").touch()
    target = start("allocating", "blocked", tmp_path / "stop")
    done = run_airmem("trace", "--attach", target.pid, "--yes", "-o", place)
    assert done.returncode == 5
    assert f"no thread of process {target.pid} has run for 3" in done.stderr
    assert "py-spy dump" in done.stderr
    assert not place.exists()


def test_a_second_recording_is_refused(start: Start, place):
    target = start("allocating", "busy")
    airmem = begin(target, place)
    bring_to("recording", "busy", target, place, place)
    done = run_airmem("trace", "--attach", target.pid, "--yes", "-o", place)
    airmem.send_signal(signal.SIGINT)
    airmem.communicate(timeout=DEADLINE_SECONDS)
    assert done.returncode == 5
    assert "would silently end the first" in done.stderr
    check_left_as_found(target, place)


def test_two_that_begin_at_once_are_told_of_each_other(start: Start, place, tmp_path):
    target = start("allocating", "busy")
    line = [sys.executable, "-m", "airmem", "trace", "--attach", str(target.pid), "--duration", "3", "--yes"]
    both = [
        subprocess.Popen([*line, "--no-analyze", "-o", str(place / name)], stderr=subprocess.PIPE, text=True)
        for name in ("one", "other")
    ]
    said = [one.communicate(timeout=DEADLINE_SECONDS)[1] for one in both]
    loser = next(words for one, words in zip(both, said, strict=True) if one.returncode)
    assert sorted(one.returncode for one in both) == [0, 5]
    assert any(words in loser for words in ("just now", "traces process", "silently end the first")), loser
    assert "permission" not in loser or "If nobody else attached to it just now" in loser
    assert target.process.poll() is None


def test_a_process_with_a_debugger_is_refused(start: Start, place):
    target = start("allocating", "busy")
    gdb = subprocess.Popen(
        ["gdb", "-nx", "-q", "-p", str(target.pid), "-ex", "continue"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: tracer_of(target.pid) == gdb.pid, "gdb")
        done = run_airmem("trace", "--attach", target.pid, "--yes", "-o", place)
    finally:
        gdb.send_signal(signal.SIGINT)
        gdb.communicate(b"detach\nquit\n")
    assert done.returncode == 5
    assert f"process {gdb.pid} traces process {target.pid} already" in done.stderr


def test_a_python_without_memray_is_refused(start: Start, place, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    target = start("allocating", "busy", python=[str(tmp_path / "venv" / "bin" / "python")])
    done = run_airmem("trace", "--attach", target.pid, "--yes", "-o", place)
    assert done.returncode == 5
    assert "has no memray" in done.stderr
    assert f"{tmp_path}/venv/bin/python -m pip install memray" in done.stderr


def test_without_a_debugger_it_is_refused(start: Start, place, tmp_path):
    target = start("allocating", "busy")
    done = run_airmem("trace", "--attach", target.pid, "--yes", "-o", place, env={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 5
    assert "there is no gdb here" in done.stderr


def test_the_budget_ends_the_recording_and_not_the_program(start: Start, place):
    target = start("allocating", "busy")
    done = run_airmem(
        "trace", "--attach", target.pid, "--detail", "--budget", "3M", "--yes", "--no-analyze", "-o", place
    )
    assert done.returncode == 0, done.stderr
    assert state_of(place)["outcome"] == "budget"
    check_left_as_found(target, place)


def test_a_target_that_ends_meanwhile_is_told(start: Start, place):
    target = start("allocating", "busy")
    airmem = begin(target, place)
    bring_to("recording", "busy", target, place, place)
    assert target.process.stdin is not None
    target.process.stdin.close()
    target.process.stdin = None
    began = time.monotonic()
    wait_until(lambda: target.process.poll() is not None, "the target to end by itself")
    assert target.process.returncode == 0
    assert time.monotonic() - began < 30  # its end does not wait for the recording's
    output, _ = airmem.communicate(timeout=DEADLINE_SECONDS)
    assert airmem.returncode == 0
    assert b"the process ended" in output


def fill(disk: Path) -> None:
    """Take all room of a disk on which somebody else writes meanwhile."""
    with open(disk / "filler", "wb") as file:
        while True:
            room = os.statvfs(disk)
            if not room.f_bavail:
                return
            with suppress(OSError):  # somebody was faster
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), room.f_bavail * room.f_frsize)


def test_a_full_disk_is_told_and_does_not_keep_memray_in_the_process(start: Start, small_disk: Path, tmp_path):
    said = tmp_path / "said"
    with said.open("w") as file:
        target = start("allocating", "busy", stderr=file)
    place = small_disk / "traces"
    line = [sys.executable, "-m", "airmem", "trace", "--attach", str(target.pid), "--duration", "60", "--budget", "3M"]
    airmem = subprocess.Popen([*line, "--yes", "-o", str(place)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    bring_to("recording", "busy", target, place, place)
    fill(small_disk)
    output, errors = airmem.communicate(timeout=DEADLINE_SECONDS)
    assert airmem.returncode == 0, errors
    assert b"the disk was nearly full" in output
    check_left_as_found(target, place)
    (small_disk / "filler").unlink()
    answer = json.loads(run_airmem("trace", "--list", "-o", place, "--format", "json").stdout)
    gave_up = "Failed to grow output file" in said.read_text()
    assert answer["traces"][0]["files"][0]["verdict"] == ("disk_full" if gave_up else "complete")


def test_memray_leaves_a_process_that_blocks_meanwhile(start: Start, place, tmp_path):
    target = start("allocating", "blocked", tmp_path / "stop")
    airmem = begin(target, place)
    bring_to("recording", "idle", target, place, place)
    (tmp_path / "stop").touch()
    wait_for(lambda: "read" in Path(f"/proc/{target.pid}/wchan").read_text(), "the target to block")
    airmem.send_signal(signal.SIGINT)
    output, _ = airmem.communicate(timeout=DEADLINE_SECONDS)
    assert b"AM621" not in output
    check_left_as_found(target, place)  # memray's own thread, which looks at the heap, lets the debugger in


def test_memray_that_cannot_leave_yet_is_told_and_leaves_later(start: Start, place, tmp_path):
    target = start("allocating", "held", tmp_path / "stop")
    airmem = begin(target, place, wait=12)
    bring_to("recording", "idle", target, place, place)
    (tmp_path / "stop").touch()
    time.sleep(0.5)
    airmem.send_signal(signal.SIGINT)
    output, errors = airmem.communicate(timeout=DEADLINE_SECONDS)
    assert airmem.returncode == 0, errors
    assert b"AM621" in output
    assert tracer_of(target.pid) == 0
    check_left_as_found(target, place)
    assert state_of(place)["outcome"] == "stopped"


def test_a_target_that_is_stopped_inside_malloc_is_not_asked_to_allocate_there(start: Start, place):
    target = start("in_malloc")
    line = ("trace", "--attach", target.pid, "--duration", "1", "--wait", "100", "--yes", "--no-analyze", "-o", place)
    began = time.monotonic()
    done = run_airmem(*line)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 100  # gdb's own malloc would wait for the lock until it is interrupted
    assert "AM621" not in done.stdout
    assert tracer_of(target.pid) == 0
    before = target.truth["count"]
    assert target.order("again").truth["count"] > before


def test_the_captures_of_children_are_kept_also_of_one_that_goes_on(start: Start, place):
    target = start("forking_on")
    airmem = begin(target, place, options=("--follow-fork",))
    bring_to("recording", "busy", target, place, place)
    stays = target.order("fork").truth["stays"]
    wait_for(lambda: len([*place.glob("*/attempt/*.bin.*")]) == 2, "the children's captures")
    (ending,) = {int(path.suffix[1:]) for path in place.glob("*/attempt/*.bin.*")} - {stays}
    wait_for(lambda: is_gone(ending), "one of them to end")
    airmem.send_signal(signal.SIGINT)
    _output, errors = airmem.communicate(timeout=DEADLINE_SECONDS)
    assert airmem.returncode == 0, errors
    files = json.loads(run_airmem("trace", "--list", "-o", place, "--format", "json").stdout)["traces"][0]["files"]
    told = {file["pid"]: file["verdict"] for file in files}
    assert len(told) == 3
    assert told.pop(target.pid) == "complete"
    assert told.pop(stays) == "recording"
    assert [*told.values()] == ["ended_early"]
    os.kill(stays, signal.SIGKILL)
