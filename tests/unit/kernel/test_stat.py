"""/proc/PID/stat: the command may hold whatever a target likes."""

from __future__ import annotations

import os

import pytest

from airmem.errors import Malformed
from airmem.kernel.stat import parse_boot_time, parse_parent_pid, parse_stat
from tests.captures import read_capture

FIELDS = b"S 7 8 9 0 -1 4194368 1 0 0 0 2 3 0 0 20 0 5 0 123456 7000 4242 18446744073709551615 1 1 0"
COMMANDS = [b"python", b"a b", b") S 1 2 3", b"((()))", b"a\nb", b"\xff\xfe", b"\x1b[2J", b"", b")", b") "]


@pytest.mark.parametrize("command", COMMANDS)
def test_any_command_is_read_whole(command):
    process = parse_stat(b"42 (" + command + b") " + FIELDS + b"\n")
    assert process.command.encode(errors="surrogateescape") == command
    assert (process.pid, process.parent_pid, process.start_ticks) == (42, 7, 123456)
    assert (process.state, process.session_id, process.thread_count, process.rss_pages) == ("S", 9, 5, 4242)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_parent_is_found_behind_any_command(command):
    assert parse_parent_pid(b"42 (" + command + b") " + FIELDS) == 7


def test_a_fork_without_exec_is_told_from_a_program():
    forked, started = (parse_stat(read_capture(f"forked-tree/{name}", "stat")) for name in ("gc", "parent"))
    assert forked.is_forked
    assert not started.is_forked
    assert forked.parent_pid == started.pid
    assert not forked.is_kernel_thread


@pytest.mark.parametrize(
    ("state", "threads", "expected"), [("Z", 1, True), ("X", 0, True), ("Z", 2, False), ("S", 1, False)]
)
def test_a_leader_that_ended_before_its_threads_is_no_zombie(state, threads, expected):
    words = FIELDS.split(b" ")
    words[0], words[17] = state.encode(), str(threads).encode()
    assert parse_stat(b"1 (a) " + b" ".join(words)).is_zombie is expected


def test_a_thread_of_the_kernel_is_known_by_its_flag():
    words = FIELDS.split(b" ")
    words[6] = str(0x00200000 | 0x40).encode()
    assert parse_stat(b"2 (kthreadd) " + b" ".join(words)).is_kernel_thread


def test_gvisor_leaves_fields_empty_but_can_be_read():
    assert parse_stat(read_capture("gvisor-pair/child", "stat")).parent_pid > 0


@pytest.mark.parametrize("raw", [b"", b"42", b"42 (a", b"42 (a) ", b"42 (a) S", b"x (a) " + FIELDS, b"42 (a) S y 8 9"])
def test_a_line_cut_short_is_malformed(raw):
    with pytest.raises(Malformed):
        parse_stat(raw)


@pytest.mark.parametrize("raw", [b"", b"12 34 56", b"42 (a) ", b"42 (a) S", b"42 (a) S x 9"])
def test_no_parent_is_made_up(raw):
    with pytest.raises(Malformed):
        parse_parent_pid(raw)


def test_own_stat_agrees_with_the_interpreter():
    with open("/proc/self/stat", "rb") as file:
        raw = file.read()
    process = parse_stat(raw)
    assert (process.pid, process.parent_pid) == (os.getpid(), os.getppid())
    assert process.session_id == os.getsid(0)


def test_boot_time():
    assert parse_boot_time(b"cpu 1 2\nbtime 1700000000\nprocesses 5\n") == 1_700_000_000
    assert parse_boot_time(b"cpu 1 2\nbtimes 5\n") is None
    assert parse_boot_time(b"btime x\n") is None
