"""Where an answer goes: pipes that break, files that exist, disks that are full."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import time
from contextlib import suppress

import pytest

from tests.unit.commands.conftest import COMMAND

OWN = os.getpid()


def pss(*more: object) -> tuple[object, ...]:
    return ("pss", OWN, "--depth", "rollup", *more)


def leftovers(folder) -> list[str]:
    return sorted(name for name in os.listdir(folder) if "partial" in name)


def test_a_file_is_its_owners_alone(run, tmp_path):
    path = tmp_path / "answer.json"
    done = run(*pss("--format", "json", "-o", path), preexec_fn=lambda: os.umask(0))
    assert (done.returncode, done.stdout) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["tree"]["root_pid"] == OWN
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("form", ["text", "json", "csv"])
def test_a_file_holds_what_a_pipe_would_get(run, tmp_path, form):
    path = tmp_path / "answer"
    assert run(*pss("--format", form, "-o", path)).returncode == 0
    shown = run(*pss("--format", form)).stdout
    assert path.read_text().count("\n") == shown.count("\n")
    assert path.read_text()[:20] == shown[:20]
    assert "\x1b" not in path.read_text()


def test_an_existing_file_is_kept(run, tmp_path):
    path = tmp_path / "answer"
    path.write_text("precious")
    done = run(*pss("-o", path))
    assert (done.returncode, path.read_text()) == (2, "precious")
    assert "exists" in done.stderr
    assert "--force" in done.stderr


def test_force_replaces_it(run, tmp_path):
    path = tmp_path / "answer"
    path.write_text("old")
    path.chmod(0o644)
    assert run(*pss("-o", path, "--force", "--format", "csv")).returncode == 0
    assert path.read_text().startswith("pid,")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_is_not_followed(run, tmp_path, force, exists):
    victim, link = tmp_path / "victim", tmp_path / "link"
    if exists:
        victim.write_text("precious")
    link.symlink_to(victim)
    done = run(*pss("-o", link, *force))
    assert done.returncode == 2
    assert "symbolic link" in done.stderr
    assert victim.exists() == exists
    assert link.is_symlink()


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_what_is_no_file_is_never_replaced(run, tmp_path, kind):
    path = tmp_path / "place"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    before = path.stat()
    done = run(*pss("-o", path, "--force"))
    assert done.returncode == 2
    assert "not a regular file" in done.stderr
    assert (path.stat().st_ino, path.stat().st_mode) == (before.st_ino, before.st_mode)


def test_a_device_is_never_replaced(run):
    before = os.stat("/dev/null")
    assert run(*pss("-o", "/dev/null", "--force")).returncode == 2
    assert os.stat("/dev/null").st_ino == before.st_ino
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("path", ["missing/answer", "file/answer", ""])
def test_a_place_that_cannot_be_written(run, tmp_path, path):
    (tmp_path / "file").write_text("x")
    done = run(*pss("-o", path), cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot write" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["file"]


def test_a_folder_without_permission(run, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv (util-linux), to run as a user who may not write")
        for parent in (tmp_path, *tmp_path.parents[:2]):
            parent.chmod(0o755)
        line = ["setpriv", "--reuid=50000", "--clear-groups", *COMMAND, "pss", "1", "--depth", "status"]
        done = subprocess.run([*line, "-o", folder / "x"], capture_output=True, text=True, check=False)
    else:
        done = run(*pss("-o", folder / "x"))
    assert "Traceback" not in done.stderr
    assert done.returncode == 2, done.stderr
    assert "Permission denied" in done.stderr


@pytest.fixture
def full_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    options = "size=64k,nr_inodes=100"
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False, stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("needs root, to mount a small disk")
    (folder / "answer").write_text("precious")
    with suppress(OSError), open(folder / "filler", "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_leaves_the_old_file_whole(run, full_disk):
    done = run(*pss("-o", full_disk / "answer", "--force", "--format", "json"))
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert (full_disk / "answer").read_text() == "precious"
    assert leftovers(full_disk) == []


def test_standard_output_without_room(run):
    with open("/dev/full", "w") as full:
        done = run(*pss(), stdout=full)
    assert done.returncode == 2
    assert "No space left" in done.stderr


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("pss", OWN), ("pss", OWN, "--format", "json")])
def test_a_closed_standard_output(run, arguments):
    done = run(*arguments, preexec_fn=lambda: os.close(1), stdout=None)
    assert done.returncode in (0, 2)
    assert done.returncode == 0 or "standard output is closed" in done.stderr


@pytest.mark.parametrize("arguments", [("bogus",), ("pss", "--bogus"), ("pss", "--top", "x"), ("ps", "bogus")])
@pytest.mark.parametrize("place", ["full", "pipe", "neither"])
def test_a_usage_error_that_cannot_be_told_keeps_its_status(run, arguments, place):
    reader, writer = os.pipe()
    os.close(reader)
    with open("/dev/full", "w") as full, open(writer, "w") as pipe:
        closing = {"preexec_fn": lambda: os.close(1), "stdout": None} if place == "neither" else {}
        done = run(*arguments, stderr=full if place == "full" else pipe, **closing)
    assert done.returncode == 2


def test_nowhere_to_speak_at_all(run):
    assert run("pss", "0", preexec_fn=lambda: (os.close(1), os.close(2)), stdout=None, stderr=None).returncode == 2


def piped(*arguments: object, lines: int) -> tuple[int, bytes, float]:
    """Run airmem into a reader that leaves after some lines; return (status, standard error, seconds)."""
    began = time.monotonic()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    for _ in range(lines):
        process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    return process.wait(timeout=60), errors, time.monotonic() - began


@pytest.mark.parametrize("form", ["text", "json", "csv"])
def test_a_reader_that_has_left_is_no_error(form):
    assert piped(*pss("--format", form), lines=0)[:2] == (0, b"")


def test_help_into_a_reader_that_has_left_is_no_error():
    assert piped("pss", "--help", lines=0)[:2] == (0, b"")


def test_repeating_ends_with_its_reader():
    status, errors, seconds = piped(*pss("--every", "0.05"), lines=1)
    assert (status, errors) == (0, b"")
    assert seconds < 30


def test_a_terminal_that_knows_only_ascii(run, launch):
    target = launch("caf\u00e9 \u4e2d")
    for encoding in ("ascii", "latin-1"):
        done = run("pss", target.pid, "--depth", "status", variables={"PYTHONIOENCODING": encoding})
        assert done.returncode == 0
        assert "\\u4e2d" in done.stdout
