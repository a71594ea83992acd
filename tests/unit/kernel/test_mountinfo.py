"""mountinfo: what is mounted where, whatever mount points are called."""

from __future__ import annotations

import pytest

from airmem.kernel.mountinfo import parse_mounts

LINE = "31 30 0:29 {root} {point} rw,relatime shared:4 master:1 - {kind} {source} rw,memory"


def line(kind: str = "cgroup", root: str = "/", point: str = "/sys/fs/cgroup/memory", source: str = "cgroup") -> bytes:
    return LINE.format(kind=kind, root=root, point=point, source=source).encode(errors="surrogateescape") + b"\n"


def test_only_mounts_of_the_kind():
    raw = line() + line("cgroup2", point="/sys/fs/cgroup/unified") + line("tmpfs")
    assert [point for _, point, _ in parse_mounts(raw, "cgroup2")] == ["/sys/fs/cgroup/unified"]
    assert parse_mounts(raw, "nfs") == []


def test_options_of_the_mount_and_of_the_file_system():
    [(_, _, options)] = parse_mounts(line(), "cgroup")
    assert options == ("rw", "relatime", "rw", "memory")


@pytest.mark.parametrize(
    ("escaped", "path"),
    [
        ("/a\\040b", "/a b"),
        ("/a\\011b", "/a\tb"),
        ("/a\\012b", "/a\nb"),
        ("/a\\134b", "/a\\b"),
        ("/a\\134040b", "/a\\040b"),
        ("/a\\040-\\040cgroup", "/a - cgroup"),
        ("/a\x0bb\x1cc\x85d\u2028e", "/a\x0bb\x1cc\x85d\u2028e"),
        ("/a\rb", "/a\rb"),
        ("/\udcff", "/\udcff"),
    ],
)
def test_escapes_are_undone_once_and_nothing_ends_a_line_but_a_newline(escaped, path):
    assert [(root, point) for root, point, _ in parse_mounts(line(root=escaped, point=escaped), "cgroup")] == [
        (path, path)
    ]


def test_optional_fields_may_be_missing_or_many():
    raw = b"1 2 0:3 / /x rw - proc proc rw,hidepid=2\n1 2 0:3 / /y rw a:1 b:2 c - proc none rw\n"
    assert [point for _, point, _ in parse_mounts(raw, "proc")] == ["/x", "/y"]


@pytest.mark.parametrize("raw", [b"", b"\n\n", b" - \n", b"1 2 3 - proc\n", b"1 2 0:3 / /x rw proc proc rw\n"])
def test_other_lines_are_skipped(raw):
    assert parse_mounts(raw, "proc") == []
