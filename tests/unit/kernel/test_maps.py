"""/proc/PID/maps: which addresses are read, and which of them no RSS counts."""

from __future__ import annotations

import pytest

from airmem.kernel.maps import UNCOUNTED, parse_maps, parse_maps_ranges
from airmem.kernel.reader import KernelReader
from airmem.kernel.smaps import parse_smaps
from tests.captures import CAPTURES, PROCESSES, read_capture

TEXT = b"""\
00400000-0041f000 r--p 00000000 fe:00 260811                             /usr/bin/python3.11
7ffff7fc1000-7ffff7fc5000 r--p 00000000 00:00 0                          [vvar]
7ffff7fc5000-7ffff7fc7000 r--p 00000000 00:00 0                          [vvar_vclock]
7ffff7fc7000-7ffff7fc9000 r-xp 00000000 00:00 0                          [vdso]
7ffff7fd0000-7ffff7fd1000 r--p 00000000 fe:00 12                         /srv/x[vvar]y
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""


def test_the_kernels_own_pages_are_told_apart():
    assert parse_maps_ranges(TEXT) == [
        (0x400000, 0x41F000, True),
        (0x7FFFF7FC1000, 0x7FFFF7FC5000, False),
        (0x7FFFF7FC5000, 0x7FFFF7FC7000, False),
        (0x7FFFF7FC7000, 0x7FFFF7FC9000, True),
        (0x7FFFF7FD0000, 0x7FFFF7FD1000, True),
    ]


@pytest.mark.parametrize("process", PROCESSES)
def test_ranges_are_those_of_smaps(process):
    ranges = parse_maps_ranges(read_capture(process, "maps"))
    mappings = [one for one in parse_smaps(read_capture(process, "smaps")) if one.start_address < 1 << 63]
    assert [(first, last) for first, last, _ in ranges] == [(one.start_address, one.end_address) for one in mappings]
    for (_, _, is_counted), one in zip(ranges, mappings, strict=True):
        # From Linux 7 on the clock's pages are counted in RSS.
        assert is_counted or not one.account.rss_bytes or (one.name == "[vvar]" and process.startswith("kernel-7"))


def test_a_file_with_the_kernels_name_is_counted():
    line = b"1000-2000 r--p 00000000 fe:00 99                                 /srv/a [vvar]\n"
    assert parse_maps_ranges(line) == [(0x1000, 0x2000, True)]


def test_other_lines_are_skipped():
    assert parse_maps_ranges(b"") == []
    assert parse_maps_ranges(b"x\n-\n - \nzz-yy rw-p\n1000 2000 rw-p\n") == []


def test_what_is_uncounted_can_be_told():
    assert [is_counted for _, _, is_counted in parse_maps_ranges(TEXT, UNCOUNTED[1:])] == [
        True,
        True,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(("kernel", "is_counted"), [("kernel-6.1", False), ("kernel-7.2", True)])
def test_whether_the_clock_is_counted_is_probed(tmp_path, kernel, is_counted):
    from airmem.kernel.frames import find_uncounted

    process = next(one for one in PROCESSES if one.startswith(kernel))
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "5").symlink_to(CAPTURES / process)
    (tmp_path / "proc" / "self").symlink_to("5")
    assert find_uncounted(KernelReader(str(tmp_path))) == UNCOUNTED[1 if is_counted else 0 :]
    assert find_uncounted(KernelReader(str(tmp_path / "nothing"))) == UNCOUNTED


def test_a_mapping_has_its_permissions_and_name():
    named = parse_maps(TEXT + b"7000-8000 rw-p 00000000 00:00 0 \nnonsense\n9000-a000 rw-p 0 0:0 0 [heap]\n")
    assert [(one.start_address, one.permissions, one.inode, one.name) for one in named] == [
        (0x400000, "r--p", 260811, "/usr/bin/python3.11"),
        (0x7FFFF7FC1000, "r--p", 0, "[vvar]"),
        (0x7FFFF7FC5000, "r--p", 0, "[vvar_vclock]"),
        (0x7FFFF7FC7000, "r-xp", 0, "[vdso]"),
        (0x7FFFF7FD0000, "r--p", 12, "/srv/x[vvar]y"),
        (0x7000, "rw-p", 0, ""),
        (0x9000, "rw-p", 0, "[heap]"),
    ]
