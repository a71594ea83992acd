"""Files of one thread: bytes of a real kernel (6.18)."""

from __future__ import annotations

import platform
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airmem.errors import Malformed
from airmem.kernel.task import parse_schedule, parse_system_call, parse_task_stat
from airmem.model.system_call import GENERIC, X86_64, system_call_name

STAT = (
    b"20906 (evil) S) x) S 20864 20861 1862 0 -1 4194304 3111 6569 0 0 14 3 4 2 20 0 1 0 1150644 17379328 3507"
    b" 18446744073709551615 94661305708544 94661305708885 140735155700560 0 0 0 0 16781318 0 1 0 0 17 0 0 0 0 0 0 0\n"
)
FLOCK = b"73 0x5 0x2 0x0 0x7fe9db9c8d58 0x0 0x0 0x7fff74f67d88 0x7fe9dc116897\n"
SCHED = b"""python3 (20864, #threads: 1)
-------------------------------------------------------------------
se.exec_start                                :      11482859.686192
se.vruntime                                  :         11781.025355
nr_switches                                  :                   28
nr_voluntary_switches                        :                   14
nr_involuntary_switches                      :                   14
"""


def test_a_stat_line_whose_command_looks_like_fields():
    found = parse_task_stat(STAT)
    assert (found.command, found.state, found.parent_pid) == ("evil) S) x", "S", 20864)
    assert (found.user_ticks, found.system_ticks, found.start_ticks) == (14, 3, 1150644)
    assert found.cpu == 0


def test_a_system_call_has_a_name_and_six_arguments():
    found = parse_system_call(FLOCK, "x86_64")
    assert (found.name, found.number) == ("flock", 73)
    assert found.arguments == (5, 2, 0, 0x7FE9DB9C8D58, 0, 0)
    assert (found.stack_address, found.program_address) == (0x7FFF74F67D88, 0x7FE9DC116897)
    assert not found.is_running


def test_a_number_means_something_else_on_another_machine():
    assert parse_system_call(FLOCK, "aarch64").name == "ppoll"
    assert parse_system_call(FLOCK, "s390x").name == "?"
    assert system_call_name("aarch64", 98) == system_call_name("x86_64", 202) == "futex"


def test_a_thread_that_runs_or_is_in_no_call():
    running = parse_system_call(b"running\n", "x86_64")
    assert (running.is_running, running.number, running.name, running.arguments) == (True, -1, "", ())
    outside = parse_system_call(b"-1 0x7fff74f67d88 0x7fe9dc116897\n", "x86_64")
    assert (outside.is_running, outside.number, outside.name, outside.arguments) == (False, -1, "", ())
    assert outside.stack_address == 0x7FFF74F67D88


def test_the_scheduler_tells_when_it_last_ran():
    found = parse_schedule(SCHED)
    assert (found.ran_at_seconds, found.voluntary_switch_count) == (11482.859686192, 14)
    assert parse_schedule(b"") == (None, None, None)


@pytest.mark.parametrize("raw", [b"", b"1 (a)", b"()", b"7 (a) S 1"])
def test_what_is_no_stat_line_is_malformed(raw):
    with pytest.raises(Malformed):
        parse_task_stat(raw)


@given(st.binary())
def test_any_bytes_are_taken_or_malformed(raw):
    parse_schedule(raw)
    for parse in (parse_task_stat, lambda one: parse_system_call(one, "x86_64")):
        with suppress(Malformed):
            parse(raw)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers of this machine's own headers")
def test_the_numbers_are_those_of_the_headers():
    headers = pytest.importorskip("pathlib").Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not headers.exists():
        pytest.skip("no kernel headers are installed")
    words = [line.split() for line in headers.read_text().splitlines() if line.startswith("#define __NR_")]
    known = {int(number): name.removeprefix("__NR_") for _, name, number in words}
    assert {number: name for number, name in X86_64.items() if known.get(number, name) != name} == {}


def test_no_name_stands_for_two_numbers():
    for table in (X86_64, GENERIC):
        assert len(set(table.values())) == len(table)
