"""Folders of traces on a real file system: nothing is replaced, followed or removed that is somebody else's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airmem.errors import UsageProblem
from airmem.probes import traces


@pytest.fixture
def folder(tmp_path):
    made = traces.make_folder(str(tmp_path / "place"), "scheduler", shared=False)
    traces.write_document(made, traces.DOCUMENT, {"kind": "launch"})
    return made


def write(path, text="x"):
    with open(path, "w") as file:
        file.write(text)
    return path


def test_a_folder_is_its_owners_alone(folder, tmp_path):
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert os.stat(tmp_path / "place").st_mode & 0o777 == 0o700
    assert traces.trace_folders(str(tmp_path / "place")) == [folder]
    assert traces.read_document(folder, traces.DOCUMENT) == {"kind": "launch"}
    assert os.stat(f"{folder}/{traces.DOCUMENT}").st_mode & 0o777 == 0o600


def test_a_place_that_is_a_link_or_open_to_all_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    write(tmp_path / "file")
    for name in ("link", "open", "file"):
        with pytest.raises(UsageProblem):
            traces.make_folder(str(tmp_path / name), "x", shared=False)


def test_a_document_is_not_written_through_a_link(folder, tmp_path):
    victim = write(str(tmp_path / "victim"), "precious")
    os.symlink(victim, f"{folder}/{traces.STATE}.partial")
    with pytest.raises(UsageProblem):
        traces.write_document(folder, traces.STATE, {})
    assert Path(victim).read_text() == "precious"


@pytest.mark.parametrize("content", ["", "{", "[1]", "[" * 5000, "\udc80"])
def test_a_broken_document_is_none(content, folder):
    with open(f"{folder}/{traces.DOCUMENT}", "w", errors="surrogateescape") as file:
        file.write(content)
    assert traces.read_document(folder, traces.DOCUMENT) is None


def test_names_tell_pid_and_role():
    assert traces.read_name("/t/scheduler-my-host-77-20261120T101112.bin") == (77, "parent")
    assert traces.read_name("/t/scheduler-my-host-77-20261120T101112.bin.78") == (78, "child")
    assert traces.read_name("/t/scheduler-my-host-child-20261120T101112.bin.78") == (78, "child")
    assert traces.read_name("/t/other.bin") == (None, "parent")
    assert traces.read_name(f"/t/{traces.name_capture('api', 5)}") == (5, "parent")


def test_children_with_one_pid_keep_a_file_each(folder):
    parent = f"{folder}/scheduler-my-host-77-20261120T101112.bin"
    settled = []
    for text in ("first", "second", "third"):
        settled.append(traces.settle_child(write(f"{parent}.78", text)))
    assert len(set(settled)) == 3
    assert [Path(path).read_text() for path in settled] == ["first", "second", "third"]
    assert not os.path.exists(f"{parent}.78")
    assert all(traces.is_settled(path) and traces.read_name(path) == (78, "child") for path in settled)
    assert len(traces.capture_files(folder)) == 3


def test_only_what_a_trace_makes_is_removed(folder, tmp_path):
    write(f"{folder}/scheduler-h-77-20261120T101112.bin", "12345")
    os.symlink(write(str(tmp_path / "victim")), f"{folder}/link.bin")
    write(f"{folder}/notes.txt")
    assert traces.remove_folder(folder) == 5
    assert sorted(os.listdir(folder)) == ["link.bin", "notes.txt"]
    assert os.path.exists(tmp_path / "victim")
    os.unlink(f"{folder}/link.bin")
    os.unlink(f"{folder}/notes.txt")
    traces.remove_folder(folder)
    assert not os.path.exists(folder)


def test_a_file_in_the_way_is_renamed_and_never_replaced(tmp_path):
    path = str(tmp_path / "scheduler_memory.bin")
    assert traces.move_aside(path) is None
    names = {traces.move_aside(write(path, text)) for text in ("one", "two")}
    assert {Path(name).read_text() for name in names} == {"one", "two"}
    assert not os.path.exists(path)
    os.symlink(tmp_path / "elsewhere", path)
    with pytest.raises(UsageProblem):
        traces.move_aside(path)


def test_free_space_is_that_of_the_nearest_folder(tmp_path):
    assert traces.free_bytes(str(tmp_path / "not" / "yet")) == pytest.approx(traces.free_bytes(str(tmp_path)), rel=0.1)
