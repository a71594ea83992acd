"""fdinfo and /proc/locks: files of a real kernel (6.18)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airmem.kernel.fdinfo import parse_fdinfo, parse_lock, parse_locks

EPOLL = b"""pos:\t0
flags:\t02000002
mnt_id:\t17
ino:\t1038
tfd:        8 events:       1f data:     7fe900000008  pos:0 ino:e3a12 sdev:9
tfd:        6 events:       1f data:                6  pos:0 ino:e3a11 sdev:f
"""
LOCKED = b"""pos:\t7
flags:\t02100002
mnt_id:\t27
ino:\t2148639
lock:\t1: POSIX  ADVISORY  WRITE 20864 fe:00:2148639 5 14
"""
LOCKS = b"""1: POSIX  ADVISORY  WRITE 20864 fe:00:2148639 5 14
1: -> POSIX  ADVISORY  WRITE 20907 fe:00:2148639 7 7
2: FLOCK  ADVISORY  WRITE 20864 fe:00:2148637 0 EOF
2: -> FLOCK  ADVISORY  WRITE 20906 fe:00:2148637 0 EOF
3: OFDLCK ADVISORY  READ -1 00:2b:77 0 EOF
4: LEASE  ACTIVE    READ 12 fe:00:9 0 EOF
"""


def test_an_epoll_set_watches_descriptors():
    found = parse_fdinfo(EPOLL)
    assert (found.watched, found.access, found.mount_id, found.inode) == ((8, 6), "rw", 17, 1038)


def test_a_pidfd_names_its_process():
    raw = b"pos:\t0\nflags:\t02000002\nmnt_id:\t4\nino:\t95545\nPid:\t30667\nNSpid:\t30667\n"
    assert parse_fdinfo(raw).process_id == 30667
    assert parse_fdinfo(raw.replace(b"30667", b"-1")).process_id is None
    assert parse_fdinfo(EPOLL).process_id is None


def test_a_file_has_a_position_and_locks():
    found = parse_fdinfo(LOCKED)
    assert (found.position_bytes, found.access, found.is_nonblocking) == (7, "rw", False)
    (lock,) = found.locks
    assert (lock.kind, lock.mode, lock.owner_pid, lock.start_bytes, lock.end_bytes) == ("POSIX", "WRITE", 20864, 5, 14)


def test_flags_tell_the_direction_and_whether_it_waits():
    assert parse_fdinfo(b"flags:\t02004001\n").access == "w"
    assert parse_fdinfo(b"flags:\t02004001\n").is_nonblocking
    assert parse_fdinfo(b"flags:\t0100000\n").access == "r"
    assert parse_fdinfo(b"").access == ""
    assert parse_fdinfo(b"").is_nonblocking is None


def test_who_waits_has_the_number_of_the_lock_in_the_way():
    found = parse_locks(LOCKS)
    assert [(one.number_id, one.kind, one.owner_pid, one.is_waiting) for one in found] == [
        (1, "POSIX", 20864, False),
        (1, "POSIX", 20907, True),
        (2, "FLOCK", 20864, False),
        (2, "FLOCK", 20906, True),
        (3, "OFDLCK", -1, False),
        (4, "LEASE", 12, False),
    ]
    assert (found[1].device, found[1].inode, found[1].start_bytes, found[1].end_bytes) == ("fe:00", 2148639, 7, 7)
    assert found[2].end_bytes is None


def test_a_line_of_another_form_is_no_lock():
    assert parse_lock(b"1: FLOCK ADVISORY WRITE x fe:00:1 0 EOF") is None
    assert parse_lock(b"") is None
    assert parse_lock(b"1: -> FLOCK") is None


@given(st.binary())
def test_any_bytes_are_taken(raw):
    parse_fdinfo(raw)
    parse_locks(raw)
