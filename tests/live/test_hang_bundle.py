"""Bundles of hang-dump: a file or a folder, for its owner only, with all that it takes to judge it again."""

from __future__ import annotations

import json
import stat
import tarfile
import time

import pytest

from tests.live.conftest import run_airmem

NAMES = {"README.txt", "verdict.txt", "verdict.html", "verdict.json", "pss.txt", "pss.json", "versions.json",
         "airmem/hang.json"}  # fmt: skip
QUICK = ("--window", "0.2")
NO_PID = 1 << 22
"""One more than the largest pid that Linux gives."""


@pytest.fixture
def target(start):
    return start("waiter")


def names_in(path):
    if path.is_dir():
        return {str(one.relative_to(path)) for one in path.rglob("*") if one.is_file()}
    with tarfile.open(path) as tar:
        return set(tar.getnames())


@pytest.mark.parametrize("name", ["evidence.tar.gz", "evidence.tgz", "evidence", "evidence/"])
def test_a_bundle_is_for_its_owner_and_judged_the_same(tmp_path, target, name):
    path = tmp_path / name
    done = run_airmem("hang-dump", target.pid, *QUICK, "-o", f"{tmp_path}/{name}")
    assert done.returncode == 0, done.stderr
    assert "socket_recv" in done.stdout or "waits" in done.stdout
    found = names_in(path)
    assert found >= NAMES
    assert any(one.startswith("raw/look-0/proc/") for one in found)
    assert any(one.startswith("stacks/") for one in found)
    assert any(one.startswith("sources/") for one in found)
    if path.is_dir():
        modes = {stat.S_IMODE(one.stat().st_mode) for one in (path, *path.rglob("*"))}
        assert modes == {0o700, 0o600}
        verdict = json.loads((path / "verdict.json").read_text())
    else:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with tarfile.open(path) as tar:
            verdict = json.loads(tar.extractfile("verdict.json").read())
    target.stop()
    again = json.loads(run_airmem("hang-dump", "--from", path, "--format", "json").stdout)
    again.pop("took_seconds"), verdict.pop("took_seconds")
    assert again == verdict


SILENT = """
import json, os, socket
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
print("READY", json.dumps({"pid": os.getpid()}), flush=True)
client.recv(1)
"""


def test_what_was_called_hung_stays_so_and_may_be_judged_anew(tmp_path, start, programs):
    path = tmp_path / "b.tar.gz"
    (programs / "silent.py").write_text(SILENT)
    target = start("silent")
    time.sleep(0.5)
    run_airmem("hang-dump", target.pid, *QUICK, "--stuck-after", "0.3", "-o", path)
    states = {}
    for arguments in ((), ("--stuck-after", "1h")):
        answer = json.loads(run_airmem("hang-dump", "--from", path, *arguments, "--format", "json").stdout)
        states[arguments] = {row["pid"]: row["state"] for row in answer["processes"]}[target.pid]
    assert list(states.values()) == ["hung", "waiting"]


def test_nothing_is_overwritten(tmp_path, target):
    (tmp_path / "there").mkdir()
    (tmp_path / "b.tar.gz").write_bytes(b"precious")
    (tmp_path / "link.tar.gz").symlink_to(tmp_path / "b.tar.gz")
    for name in ("there", "b.tar.gz", "link.tar.gz"):
        done = run_airmem("hang-dump", target.pid, *QUICK, "-o", tmp_path / name)
        assert done.returncode == 2, name
    assert (tmp_path / "b.tar.gz").read_bytes() == b"precious"
    assert run_airmem("hang-dump", target.pid, *QUICK, "-o", tmp_path / "b.tar.gz", "--force").returncode == 0


def test_a_folder_is_not_replaced_and_that_is_said(tmp_path, target):
    (tmp_path / "there").mkdir()
    done = run_airmem("hang-dump", target.pid, *QUICK, "-o", tmp_path / "there", "--force")
    assert done.returncode == 2
    assert "--force replaces files only" in done.stderr


def test_a_files_name_tells_its_form_unless_another_is_asked_for(tmp_path, target):
    for name, options, begin in (
        ("a.json", (), "{"),
        ("a.html", (), "<!"),
        ("b.txt", (), "multiprocessing "),
        ("c.csv", (), "multiprocessing "),
    ):
        assert run_airmem("hang-dump", target.pid, *QUICK, *options, "-o", tmp_path / name).returncode == 0
        assert (tmp_path / name).read_text().startswith(begin), name


def test_values_of_variables_are_kept_on_request_and_secrets_never(tmp_path, start, programs):
    script = "import time\ndef f(password, dag_id):\n    print('READY {\"pid\": %d}' % __import__('os').getpid(), flush=True)\n    time.sleep(1000)\nf('hunter2hunter2', 'my_dag')\n"
    path = programs / "calls.py"
    path.write_text(script)
    target = start("calls")
    for options, is_kept in (((), False), (("--locals",), True)):
        bundle = tmp_path / f"b{len(options)}"
        assert run_airmem("hang-dump", target.pid, *QUICK, *options, "-o", bundle).returncode == 0
        stacks = "".join(one.read_text() for one in (bundle / "stacks").iterdir())
        assert ("my_dag" in stacks) == is_kept
        everything = b"".join(
            one.read_bytes() for one in bundle.rglob("*") if one.is_file() and "sources" not in str(one)
        )
        assert b"hunter2" not in everything


@pytest.mark.parametrize("content", [b"", b"no bundle", b"\x1f\x8b\x08\x00garbage"])
def test_what_is_no_bundle_is_said_so(tmp_path, content):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    done = run_airmem("hang-dump", "--from", path)
    assert done.returncode == 5
    assert "Make one with" in done.stderr or "damaged" in done.stderr


def test_one_of_several_that_is_not_there_is_told_and_kept(tmp_path, target):
    path = tmp_path / "b.tar.gz"
    done = run_airmem("hang-dump", target.pid, NO_PID, *QUICK, "-o", path)
    assert done.returncode == 0, done.stderr
    assert f"there is no process {NO_PID}" in done.stdout
    answer = json.loads(run_airmem("hang-dump", "--from", path, "--format", "json").stdout)
    assert [(one["pid"], one["reason"]) for one in answer["gaps"] if one["pid"] == NO_PID] == [(NO_PID, "no_process")]
    assert target.pid in {row["pid"] for row in answer["processes"]}


def test_a_verdict_without_what_it_was_made_from_is_said_so(tmp_path, target):
    whole, verdict = tmp_path / "b", tmp_path / "verdict.tar.gz"
    run_airmem("hang-dump", target.pid, *QUICK, "-o", whole)
    with tarfile.open(verdict, "w:gz") as tar:
        for name in ("README.txt", "verdict.txt"):
            tar.add(whole / name, name)
    done = run_airmem("hang-dump", "--from", verdict)
    assert done.returncode == 5
    assert "has its verdict only" in done.stderr


def test_a_bundle_that_was_cut_is_said_so(tmp_path, target):
    whole, cut = tmp_path / "b.tar.gz", tmp_path / "cut.tar.gz"
    run_airmem("hang-dump", target.pid, *QUICK, "-o", whole)
    for part in (0.1, 0.5, 0.95):
        cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])
        done = run_airmem("hang-dump", "--from", cut)
        assert done.returncode == 5
        assert "was cut short" in done.stderr, part


def test_a_pause_is_announced_measured_and_printed(target):
    done = run_airmem("hang-dump", target.pid, *QUICK, "--pause", "--format", "json")
    assert "--pause stops each process" in done.stderr
    rows = json.loads(done.stdout)["processes"]
    assert all(row["paused_seconds"] > 0 for row in rows)
    done = run_airmem("hang-dump", target.pid, *QUICK)
    assert "nothing was stopped" in done.stdout


@pytest.mark.parametrize(
    "arguments", [("--native",), ("--from", "/no/such"), ("--from", "/no/such", "1"), ("--from", "/no/such", "--pause")]
)
def test_what_makes_no_sense_is_usage(arguments):
    assert run_airmem("hang-dump", *arguments).returncode == 2
