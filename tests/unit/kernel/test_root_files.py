"""Files below a process's root: real folders and links that try to lead out of it."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from airmem.kernel.root_files import read_within


@pytest.fixture
def root(tmp_path):
    inside = tmp_path / "root"
    (inside / "app").mkdir(parents=True)
    (inside / "app/dag.py").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(b"outside")
    folder = os.open(inside, os.O_PATH)
    yield inside, folder
    os.close(folder)


def read(root, path, limit=100):
    return read_within(root[1], path, limit)


def test_a_file_is_read_up_to_the_limit(root):
    assert read(root, "/app/dag.py") == b"inside"
    assert read(root, "app//./dag.py", 3) == b"ins"


@pytest.mark.parametrize(
    "target", ["{outside}/secret", "../../secret", "/../../secret", "/secret", "../../../../secret"]
)
def test_no_link_leads_outside(root, target):
    link = root[0] / "app/evil.py"
    link.symlink_to(target.format(outside=root[0].parent))
    with pytest.raises(FileNotFoundError):
        read(root, "/app/evil.py")


def test_a_link_to_a_folder_leads_no_further_than_the_root(root):
    (root[0] / "up").symlink_to("/..")
    assert read(root, "/up/app/dag.py") == b"inside"
    with pytest.raises(FileNotFoundError):
        read(root, "/up/secret")


def test_links_inside_are_followed(root):
    (root[0] / "site").symlink_to("/app")
    (root[0] / "app/same.py").symlink_to("dag.py")
    assert read(root, "/site/same.py") == b"inside"


def test_dots_do_not_lead_outside(root):
    assert read(root, "/../../app/../app/dag.py") == b"inside"
    with pytest.raises(FileNotFoundError):
        read(root, "/../secret")


def test_links_in_a_circle_end(root):
    (root[0] / "a").symlink_to("b")
    (root[0] / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        read(root, "/a")


def test_a_pipe_does_not_hold_it_up(root):
    os.mkfifo(root[0] / "app/pipe.py")
    with pytest.raises(OSError, match="plain file"):
        read(root, "/app/pipe.py")


@pytest.mark.parametrize("path", ["/", "", "/app", "/app/"])
def test_a_folder_is_no_file(root, path):
    with pytest.raises(OSError):  # noqa: PT011  # EISDIR or EINVAL
        read(root, path)


def test_no_descriptor_is_left_open(root):
    before = len(os.listdir("/proc/self/fd"))
    (root[0] / "a").symlink_to("b")
    for path in ("/app/dag.py", "/app/none", "/a", "/app/dag.py/x", "/"):
        with suppress(OSError):
            read(root, path)
    assert len(os.listdir("/proc/self/fd")) == before
