"""guard: the check's own status, and evidence before it ends. Every run is the real command on real processes."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import time
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.live.conftest import run_airmem
from tests.live.tree import is_gone, wait_until

SMALL = ("--deadline", "30")


@pytest.fixture
def target(start):
    return start("waiter")


def guard(folder, target, *arguments, check=("false",), **more):
    where = ["--bundle-dir", str(folder)] if folder is not None else []
    whom = ["--target", str(target.pid)] if target is not None else []
    return run_airmem("guard", *where, *whom, *SMALL, *arguments, *(["--", *check] if check else []), **more)


def bundles(folder):
    return sorted(path for path in Path(folder).iterdir() if path.name.endswith(".tar.gz"))


def read(path, name):
    with tarfile.open(path) as tar:
        return tar.extractfile(name).read()


def test_a_check_that_passes_leaves_nothing(tmp_path):
    done = guard(tmp_path, None, check=("true",))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_check_that_fails_leaves_a_bundle_and_its_status(tmp_path, target):
    done = guard(tmp_path, target, check=("sh", "-c", "echo no heartbeat; exit 7"))
    assert done.returncode == 7
    assert done.stdout == "no heartbeat\n"
    (path,) = bundles(tmp_path)
    assert str(path) in done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    check = json.loads(read(path, "check.json"))
    assert (check["status"], check["name"], check["timed_out"]) == (7, "sh -c echo no heartbeat; exit 7", False)
    verdict = json.loads(read(path, "verdict.json"))
    assert {row["pid"] for row in verdict["processes"]} == {target.pid, target.truth["child"]}
    assert json.loads(read(path, "pss.json"))["tree"]["root_pid"] == target.pid
    for name in ("verdict.txt", "verdict.html", "pss.txt", "versions.json", "README.txt"):
        assert read(path, name)
    assert_lists_what_is_there(path)


def test_the_bundle_gives_the_same_verdict_again(tmp_path, target):
    guard(tmp_path, target)
    (path,) = bundles(tmp_path)
    verdict = json.loads(read(path, "verdict.json"))
    target.stop()
    again = json.loads(run_airmem("hang-dump", "--from", path, "--format", "json").stdout)
    assert again.pop("took_seconds") != verdict.pop("took_seconds")
    assert again == verdict


@pytest.mark.parametrize(("script", "status"), [("kill -9 $$", 137), ("kill -15 $$", 143), ("exit 255", 255)])
def test_the_status_is_the_checks_own(tmp_path, target, script, status):
    assert guard(tmp_path, target, check=("sh", "-c", script)).returncode == status


def test_a_check_that_hangs_is_ended_with_what_it_started(tmp_path, target):
    check = ("sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/pid; wait")
    done = guard(tmp_path, target, "--check-timeout", "1", check=check)
    assert done.returncode == 124
    assert "no answer within 1 s" in done.stderr
    assert len(bundles(tmp_path)) == 1
    wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())), "what the check started to end")


@pytest.mark.parametrize(("check", "status"), [("/no/such/check", 127), (__file__, 126)])
def test_a_check_that_cannot_be_run_says_nothing_about_health(tmp_path, target, check, status):
    done = guard(tmp_path, target, check=(check,))
    assert done.returncode == status
    assert "cannot be run" in done.stderr
    assert bundles(tmp_path) == []


def test_secrets_of_the_check_stay_out(tmp_path, target):
    guard(tmp_path, target, check=("sh", "-c", "exit 1", "--password", "hunter2hunter2"))
    (path,) = bundles(tmp_path)
    assert b"hunter2" not in read(path, "check.json")


def test_after_a_bundle_comes_a_pause(tmp_path, target):
    guard(tmp_path, target)
    done = guard(tmp_path, target)
    assert done.returncode == 1
    assert "--cooldown" in done.stderr
    assert len(bundles(tmp_path)) == 1
    for number, zero in enumerate(("0", "0s")):
        assert guard(tmp_path, target, "--cooldown", zero).returncode == 1
        assert len(bundles(tmp_path)) == number + 2


def test_only_the_newest_are_kept(tmp_path, target):
    (tmp_path / "airmem-guard-20200101T000000Z.tar.gz.partial").write_bytes(b"cut")
    (tmp_path / "mine.tar.gz").write_bytes(b"not airmem's")
    for number in range(4):
        (tmp_path / f"airmem-guard-2020010{number + 1}T000000Z.tar.gz").write_bytes(b"old")
    guard(tmp_path, target, "--cooldown", "0.001", "--keep", "2")
    names = [path.name for path in bundles(tmp_path)]
    assert names[:1] + names[2:] == ["airmem-guard-20200104T000000Z.tar.gz", "mine.tar.gz"]
    assert len(names) == 3
    assert not list(tmp_path.glob("*.partial"))


def test_one_bundle_at_a_time(tmp_path, target):
    from fcntl import LOCK_EX, flock

    with open(tmp_path / ".airmem-guard.lock", "w") as file:
        flock(file, LOCK_EX)
        done = guard(tmp_path, target)
    assert done.returncode == 1
    assert "another guard" in done.stderr
    assert bundles(tmp_path) == []


def test_nothing_is_written_through_a_link(tmp_path, target):
    (tmp_path / "away").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "away")
    done = guard(tmp_path / "link", target)
    assert done.returncode == 1
    assert "no evidence" in done.stderr
    assert list((tmp_path / "away").iterdir()) == []


def test_a_full_disk_changes_no_status(tmp_path, target):
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    script = f'mount -t tmpfs -o size=16k none {tmp_path} && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-m", "airmem"]
    done = guard(tmp_path, target, command=command)
    assert done.returncode == 1
    assert "No space left" in done.stderr


def test_a_read_only_root_is_enough(tmp_path, target):
    """Only /dev/shm can be written, as in a pod with readOnlyRootFilesystem and no volume."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount the root read-only")
    script = """
        mount --make-rprivate / && mount --bind / / && mount -o remount,ro,bind / || exit 99
        for place in /tmp /var/tmp /run; do mountpoint -q $place && mount -o remount,ro,bind $place; done
        mount -t tmpfs none /dev/shm || exit 98
        "$@"; status=$?
        touch /tmp/written 2>/dev/null && exit 97
        ls /dev/shm/airmem-guard-0; exit $status
    """
    environment = {key: value for key, value in os.environ.items() if key != "TMPDIR"}
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-B", "-m", "airmem"]
    done = guard(None, target, command=command, env=environment)
    assert done.returncode == 1, done.stderr
    assert "evidence: /dev/shm/airmem-guard-0/airmem-guard-" in done.stderr
    assert done.stdout.endswith(".tar.gz\n")


def assert_lists_what_is_there(path):
    """The README of a bundle names all that is in it, and nothing else."""
    with tarfile.open(path) as tar:
        members = set(tar.getnames()) - {"README.txt"}
    lines = read(path, "README.txt").decode().split("\n\n")[0].splitlines()
    patterns = {word + "*" * word.endswith("/") for line in lines for word in line[:40].split()}
    assert [one for one in patterns if not any(fnmatch(name, one) for name in members)] == []
    assert [name for name in members if not any(fnmatch(name, one) for one in patterns)] == []


def test_a_target_that_is_gone_is_said_at_once_at_the_end_and_in_the_bundle(tmp_path, target):
    target.stop()
    assert f"there is no process {target.pid} now" in guard(tmp_path, target, check=("true",)).stderr
    done = guard(tmp_path, target)
    assert done.returncode == 1
    assert f"nothing could be judged: there is no process {target.pid}" in done.stderr
    (path,) = bundles(tmp_path)
    assert b"no process" in read(path, "problem.txt")
    assert_lists_what_is_there(path)


@pytest.mark.parametrize("name", ["0", "-5", "4194305", "nosuch", "schedular"])
def test_what_can_never_be_a_target_is_refused_before_the_check(tmp_path, name):
    done = run_airmem("guard", "--bundle-dir", tmp_path, f"--target={name}", "--", "touch", tmp_path / "ran")
    assert done.returncode == 2
    assert "is no pid" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["scheduler", "Dag_Processor", "celery", "log-server"])
def test_a_component_that_does_not_run_now_is_no_mistake(tmp_path, name):
    done = run_airmem("guard", "--bundle-dir", tmp_path, "--target", name, "--", "true")
    assert (done.returncode, done.stderr) == (0, "")


def test_when_time_is_up_what_there_is_is_written(tmp_path, target):
    done = run_airmem("guard", "--bundle-dir", tmp_path, "--target", target.pid, "--deadline", "0.5", "--", "false")
    assert done.returncode == 1
    (path,) = bundles(tmp_path)
    with tarfile.open(path) as tar:
        assert "airmem/hang.json" in tar.getnames()
    assert_lists_what_is_there(path)


def test_a_signal_to_guard_ends_the_check(tmp_path):
    line = [sys.executable, "-m", "airmem", "guard", "--", "sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 1000"]
    process = subprocess.Popen(line)
    pid = tmp_path / "pid"
    wait_until(lambda: pid.exists() and pid.read_text().strip(), "the check to begin")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    wait_until(lambda: is_gone(int(pid.read_text())), "the check to end")


def test_again_and_again(tmp_path, target):
    flag = tmp_path / "sick"
    folder = tmp_path / "bundles"
    line = [sys.executable, "-m", "airmem", "guard", "--every", "0.2", "--bundle-dir", str(folder), *SMALL,
            "--target", str(target.pid), "--", "sh", "-c", f"test ! -e {flag}"]  # fmt: skip
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
    time.sleep(1)
    assert not folder.exists()
    flag.touch()
    wait_until(lambda: folder.exists() and bundles(folder), "a bundle")
    assert process.poll() is None
    process.terminate()
    process.wait(30)


class Airflow(BaseHTTPRequestHandler):
    """Answers as Airflow 3 does: the status of the page says nothing."""

    state = "healthy"

    def do_GET(self):
        found = self.path == "/api/v2/monitor/health"
        body = json.dumps({"metadatabase": {"status": "healthy"}, "scheduler": {"status": self.state}}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(("state", "status"), [("healthy", 0), ("unhealthy", 1)])
def test_a_check_of_airflow(tmp_path, target, state, status):
    server = HTTPServer(("127.0.0.1", 0), type("Handler", (Airflow,), {"state": state}))
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/api/v2/monitor/health"
    done = guard(tmp_path, target, "--check", "monitor", "--url", url, check=())
    server.shutdown()
    assert done.returncode == status
    assert ("scheduler is unhealthy" in done.stderr) == bool(status)
    assert len(bundles(tmp_path)) == status


def test_a_server_that_does_not_answer_is_sick(tmp_path, target):
    done = guard(tmp_path, target, "--check", "scheduler", "--url", "http://127.0.0.1:9/health", check=())
    assert done.returncode == 1
    assert "does not answer" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give a check"),
        (("--check", "scheduler", "--", "true"), "two checks"),
        (("--check", "scheduler", "--url", "x"), "x"),
        (("--cooldown", "-1", "--", "true"), "not a duration"),
        (("--deadline", "0", "--", "true"), "not a duration"),
    ],
)
def test_what_makes_no_sense_is_usage(arguments, words):
    done = run_airmem("guard", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def imported(*arguments):
    line = [sys.executable, "-X", "importtime", "-m", "airmem", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return {one.rpartition("|")[2].strip() for one in done.stderr.split("\n") if one.startswith("import time:")}


def test_a_passing_check_imports_hardly_more_than_no_command():
    more = imported("guard", "--", "true") - imported("--version")
    assert "airmem.probes.check" in more
    heavy = {"subprocess", "ctypes", "json", "http.client", "gzip", "airmem.model.noun", "airmem.questions.hang"}
    assert not more & heavy
    assert len(more) < 25, more
