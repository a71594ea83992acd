"""Real programs are started and recorded: their files, their status, and what is said of files that are not whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import run_airmem
from tests.live.test_trace_attach import wait_for

FORKING = """
import multiprocessing, os, sys, time
def work(number):
    kept = [bytearray(1000) for _ in range(20000)]
    time.sleep(0.3)
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    print(*[worker.pid for worker in workers], flush=True)
    for worker in workers:
        worker.join()
    if "stay" in sys.argv:
        print("ready", flush=True)
        while True:
            kept = [bytearray(5000) for _ in range(1000)]
            time.sleep(0.05)
    sys.exit(7)
"""
FILLING = """
import os, sys, time
disk, how = sys.argv[1:]
filler = os.path.join(disk, "filler")
def fill():
    room = os.statvfs(disk)
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - 4096)
def deeper(level):
    return [str(level)] * 50 if level == 0 else deeper(level - 1)
def work(seconds=1.5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(2):
            kept = [deeper(number % 30) for number in range(2000)]
child = os.fork() if how == "in a child" else 0
if child:
    os.waitpid(child, 0)
else:
    work(0.1)
    if how != "at the end":
        fill()
    work()
    if how == "for a while":
        os.unlink(filler)
        work()
    if how == "in a child" or how == "and left by os._exit":
        os._exit(3)
    if how == "at the end":
        fill()
print("survived", flush=True)
sys.exit(3)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "traces"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "forking.py"
    path.write_text(FORKING)
    return path


def trace(place: Path, *words: object, options: tuple[str, ...] = (), **more: Any) -> Any:
    """Record a program."""
    line = ("trace", "--yes", "--no-analyze", "-o", place, *options, "--", sys.executable, *words)
    return run_airmem(*line, **more)


def files_of(place: Path) -> list[dict[str, Any]]:
    """Return all files in a place, with their verdicts."""
    done = run_airmem("trace", "--list", "-o", place, "--format", "json")
    assert done.returncode == 0, done.stderr
    return [file for one in json.loads(done.stdout)["traces"] for file in one["files"]]


def test_a_script_that_is_not_there_starts_nothing(place):
    done = trace(place, "nosuch.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no script 'nosuch.py'" in done.stderr
    assert not place.exists()


@pytest.mark.parametrize("words", [("--list",), ("--clean", "1d", "--yes")])
def test_a_folder_that_is_not_there_has_no_traces_to_show(tmp_path, words):
    done = run_airmem("trace", *words, "-o", tmp_path / "nosuch")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no folder" in done.stderr


def test_parent_and_children_have_a_file_each_and_the_status_is_kept(place, script):
    done = trace(place, script)
    assert done.returncode == 7, done.stderr
    workers = {int(word) for word in done.stdout.split()}
    files = files_of(place)
    assert {file["pid"] for file in files if file["role"] == "child"} == workers
    (parent,) = [file for file in files if file["role"] == "parent"]
    assert parent["verdict"] == "complete"
    assert {file["verdict"] for file in files if file["role"] == "child"} == {"ended_early"}
    assert len({file["path"] for file in files}) == 4
    assert all(str(file["pid"]) in Path(file["path"]).name for file in files)
    assert {path.stat().st_mode & 0o077 for path in place.iterdir()} == {0}


def test_a_second_run_replaces_nothing(place, script):
    trace(place, script)
    before = {path: path.read_bytes() for path in place.glob("*/*.bin*")}
    assert trace(place, script).returncode == 7
    after = {path: path.read_bytes() for path in place.glob("*/*.bin*")}
    assert len(after) == 8
    assert {path: after[path] for path in before} == before


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("-c", "import sys; sys.exit(5)"), 5),
        (("-c", "raise SystemExit"), 0),
        (("-X", "dev", "-c", "import sys; sys.exit(sys.flags.dev_mode + 3)"), 4),
        (("-m", "json.tool", "--help"), 0),
        (("-c", "raise ValueError('on purpose')"), 1),
        (("-c", "import os; os.kill(os.getpid(), 9)"), 137),
        (("-c", "import sys; assert sys.argv == ['-c', 'a', '--', 'b'], sys.argv", "a", "--", "b"), 0),
    ],
)
def test_every_form_of_a_command_runs_as_it_would_by_itself(words, status, place):
    line = [sys.executable, "-m", "airmem", "trace", "--yes", "--no-analyze", "-o", str(place), "--", sys.executable]
    done = subprocess.run([*line, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stderr


def test_what_the_program_prints_is_all_on_standard_output(place):
    assert trace(place, "-c", "print('its own words')").stdout == "its own words\n"


def test_signals_reach_the_program_and_its_end_is_kept(place, script):
    line = [sys.executable, "-m", "airmem", "trace", "--yes", "--no-analyze", "-o", str(place), "--", sys.executable]
    airmem = subprocess.Popen([*line, str(script), "stay"], stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE)
    assert airmem.stdout is not None
    assert airmem.stdout.readline()
    assert airmem.stdout.readline() == "ready\n"
    airmem.send_signal(signal.SIGINT)
    _, errors = airmem.communicate(timeout=60)
    assert airmem.returncode == 128 + signal.SIGINT
    assert "KeyboardInterrupt" in errors  # it is the program that was interrupted, as it would be without airmem
    (parent,) = [file for file in files_of(place) if file["role"] == "parent"]
    assert parent["verdict"] == "complete"


COUNTING = """
import os, signal, sys, time
seen = []
signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
print("ready", flush=True)
while not seen:
    time.sleep(0.05)
time.sleep(2)
print(len(seen), flush=True)
"""


@pytest.mark.parametrize("whom", ["airmem", "group", "timeout"])
def test_a_signal_reaches_the_program_once(whom, place, tmp_path):
    source = tmp_path / "counting.py"
    source.write_text(COUNTING)
    line = [sys.executable, "-m", "airmem", "trace", "--yes", "--no-analyze", "-o", str(place), "--", sys.executable]
    prefix = ["timeout", "6"] if whom == "timeout" else []
    airmem = subprocess.Popen(
        [*prefix, *line, str(source)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    assert airmem.stdout is not None
    assert airmem.stdout.readline() == "ready\n"
    if whom == "airmem":
        airmem.send_signal(signal.SIGTERM)
    elif whom == "group":
        os.killpg(airmem.pid, signal.SIGTERM)
    output, _ = airmem.communicate(timeout=60)
    assert output == "1\n"


@pytest.mark.parametrize("who", ["program", "airmem"])
def test_a_kill_is_told(who, place, script):
    line = [sys.executable, "-m", "airmem", "trace", "--yes", "--no-analyze", "-o", str(place), "--", sys.executable]
    airmem = subprocess.Popen([*line, str(script), "stay"], stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE)
    assert airmem.stdout is not None
    assert airmem.stdout.readline()
    assert airmem.stdout.readline() == "ready\n"
    (document,) = place.glob("*/trace.json")
    pid = json.loads(document.read_text())["pid"]
    assert [file["verdict"] for file in files_of(place) if file["role"] == "parent"] == ["recording"]
    os.kill(pid if who == "program" else airmem.pid, signal.SIGKILL)
    airmem.communicate(timeout=60)
    assert airmem.returncode == (137 if who == "program" else -9)
    wait_for(lambda: not Path(f"/proc/{pid}/exe").exists(), "the program to end with airmem")
    (parent,) = [file for file in files_of(place) if file["role"] == "parent"]
    assert parent["verdict"] == "killed"


def test_the_budget_ends_the_recording_in_every_process_and_not_the_program(place, script, tmp_path):
    source = tmp_path / "growing.py"
    source.write_text(
        "import os, time\nos.fork()\nend = time.monotonic() + 6\n"
        "while time.monotonic() < end:\n    kept = [str(number) * 9 for number in range(20000)]\n"
    )
    done = trace(place, source, options=("--detail", "--budget", "3M"))
    assert done.returncode == 0, done.stderr
    assert "the disk budget was used" in done.stderr
    files = files_of(place)
    assert len(files) == 2
    assert {file["verdict"] for file in files} == {"complete"}


@pytest.mark.parametrize("how", ["to its end", "for a while", "in a child", "and left by os._exit"])
def test_a_full_disk_is_told_and_the_program_lives(how: str, small_disk: Path, tmp_path):
    source = tmp_path / "filling.py"
    source.write_text(FILLING)
    done = trace(small_disk, source, small_disk, how, options=("--detail", "--budget", "3M"))
    assert done.returncode == 3, done.stderr
    assert done.stdout == ("" if how == "and left by os._exit" else "survived\n")
    assert "No space left on device" in done.stderr  # memray's own words, which it says while it goes on
    role = "child" if how == "in a child" else "parent"
    (file,) = [one for one in files_of(small_disk) if one["role"] == role]
    assert file["verdict"] == "disk_full", file
    (small_disk / "filler").unlink(missing_ok=True)
    read = run_airmem("analyze", file["path"], "--format", "json", "--fail-on", "warning")
    assert read.returncode == 1, read.stderr
    assert json.loads(read.stdout)["files"][0]["verdict"] == "disk_full"


def test_a_disk_that_is_full_only_when_a_file_is_compressed_costs_no_records(small_disk: Path, tmp_path):
    source = tmp_path / "filling.py"
    source.write_text(FILLING)
    done = trace(small_disk, source, small_disk, "at the end", options=("--budget", "3M"))
    assert done.returncode == 3, done.stderr
    assert "Failed to compress input file" in done.stderr
    (file,) = files_of(small_disk)
    assert file["verdict"] == "complete", file
    (small_disk / "filler").unlink()
    read = run_airmem("analyze", file["path"], "--format", "json")
    assert json.loads(read.stdout)["files"][0]["verdict"] == "complete"


def test_sums_that_found_no_room_are_told(small_disk: Path, tmp_path):
    source = tmp_path / "filling.py"
    source.write_text(FILLING)
    options = ("--aggregate", "--no-follow-fork", "--budget", "3M")
    done = trace(small_disk, source, small_disk, "at the end", options=options)
    assert done.returncode == 3, done.stderr
    assert [one["verdict"] for one in files_of(small_disk)] == ["disk_full"]


def test_a_place_without_room_is_refused_before_anything_is_started(small_disk: Path):
    line = ("trace", "--yes", "-o", small_disk, "--", sys.executable, "-c", "print('started')")
    done = run_airmem(*line)
    assert done.returncode == 5
    assert "too little" in done.stderr
    assert done.stdout == ""


def test_a_truncated_file_is_called_truncated(place, script):
    trace(place, script)
    (parent,) = [file for file in files_of(place) if file["role"] == "parent"]
    os.truncate(parent["path"], parent["size_bytes"] // 2)
    (again,) = [file for file in files_of(place) if file["role"] == "parent"]
    assert again["verdict"] == "truncated"


def test_old_traces_are_removed_and_nothing_else(place, script, tmp_path):
    trace(place, script)
    (folder,) = place.iterdir()
    (folder / "notes.txt").write_text("mine")
    (place / "elsewhere").symlink_to(tmp_path)
    kept = run_airmem("trace", "--clean", "1h", "--yes", "-o", place)
    assert "Removed 0 traces" in kept.stdout
    time.sleep(1.1)
    refused = run_airmem("trace", "--clean", "1s", "-o", place, stdin=subprocess.DEVNULL)
    assert refused.returncode == 2
    assert len([*folder.iterdir()]) == 7
    done = run_airmem("trace", "--clean", "1s", "--yes", "-o", place)
    assert "Removed 1 trace" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert script.exists()


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("worker",), "is no component that trace can start; these are: scheduler, api-server,"),
        (("--", "/bin/ls"), "is no Python program"),
        (("--", "no-such-program-anywhere"), "there is no program"),
        (("--", sys.executable), "an interpreter without a program"),
        (("--aggregate", "--", sys.executable, "-c", "0"), "leaves an empty file for every child"),
        (("scheduler", "--attach", "1"), "say one thing to trace"),
        ((), "say one thing to trace"),
        (("--duration", "3", "--", sys.executable, "-c", "0"), "--duration needs --attach"),
        (("--show-steps", "scheduler"), "--show-steps and --on go together"),
    ],
)
def test_what_makes_no_sense_is_refused(words, cause, place):
    done = run_airmem("trace", "--yes", "-o", place, *words)
    assert done.returncode == 2, done.stderr
    assert cause in done.stderr
    assert not place.exists()


def test_nothing_begins_without_a_yes(place):
    done = run_airmem("trace", "-o", place, "--", sys.executable, "-c", "print('started')", stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "CPU x 1.5" in done.stderr
    assert done.stdout == ""


def test_a_place_that_somebody_else_made_is_refused(place, tmp_path):
    (tmp_path / "real").mkdir()
    place.symlink_to(tmp_path / "real")
    done = trace(place, "-c", "0")
    assert done.returncode == 2
    assert "no folder of its own" in done.stderr
    assert [*(tmp_path / "real").iterdir()] == []


def test_a_python_without_memray_is_refused(place, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    done = run_airmem("trace", "--yes", "-o", place, "--", tmp_path / "venv/bin/python", "-c", "0")
    assert done.returncode == 5
    assert f"{tmp_path}/venv/bin/python -m pip install memray" in done.stderr


@pytest.mark.parametrize("where", ["systemd", "docker", "compose", "kubernetes"])
def test_steps_can_be_copied_and_fetch_the_file(where):
    done = run_airmem("trace", "--show-steps", "triggerer", "--on", where)
    assert done.returncode == 0
    assert "airmem trace triggerer --yes" in done.stdout.replace(", ", " ")
    assert "airmem analyze" in done.stdout
    assert "{" not in done.stdout.replace("{name:", "").replace("{sizeLimit:", "").replace("${POD#pod/}", "")
    assert subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=False).returncode == 0
    if where == "kubernetes":  # Airflow's chart makes a StatefulSet of the triggerer
        assert "deployment airflow-" not in done.stdout
    if where == "compose":  # with the service's own image name the build would replace the image of all services
        assert "image: airflow-traced" in done.stdout


def test_traces_of_others_are_not_called_none(programs: Path, public_folder: Path, superuser: None):
    shared = public_folder / "shared-traces"
    done = run_airmem("trace", "--yes", "--no-analyze", "-o", shared, "--", sys.executable, "-c", "0")
    assert done.returncode == 0, done.stderr
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", sys.executable, "-m", "airmem"]
    shared.chmod(0o711)
    named = {**os.environ, "AIRMEM_TRACES": str(shared)}
    refused = run_airmem("trace", "--list", command=nobody, env=named)
    assert refused.returncode == 4, refused.stderr
    assert "may not be listed by uid 65534" in refused.stderr
    shared.chmod(0o755)
    listed = run_airmem("trace", "--list", "-o", shared, command=nobody)
    assert listed.returncode == 0, listed.stderr
    assert "gap other_user: traces unknown, folders that may not be entered" in listed.stdout
