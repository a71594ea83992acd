"""Files of one thread: /proc/PID/task/TID/stat, syscall and sched (proc(5))."""

from __future__ import annotations

from typing import NamedTuple

from airmem.errors import Malformed
from airmem.model.system_call import system_call_name
from airmem.model.task import SystemCall

MILLISECONDS = 1000.0
RUNNING = b"running"
IN_NO_CALL = -1


class TaskStat(NamedTuple):
    """What a line of stat says of a thread: its short name, state letter, parent, CPU time, start and last CPU."""

    command: str
    state: str
    parent_pid: int
    user_ticks: int
    system_ticks: int
    start_ticks: int
    cpu: int


class Schedule(NamedTuple):
    """When a thread last began to run, on the clock of its CPU, and how often it left the CPU; None unknown."""

    ran_at_seconds: float | None
    voluntary_switch_count: int | None
    involuntary_switch_count: int | None


def parse_task_stat(raw: bytes) -> TaskStat:
    """Return what one stat line of a thread says. Errors: Malformed."""
    head, _, tail = raw.rpartition(b")")
    fields = tail.split()
    try:
        return TaskStat(
            command=head.partition(b" (")[2].decode(errors="surrogateescape"),
            state=fields[0].decode("ascii"),
            parent_pid=int(fields[1]),
            user_ticks=int(fields[11]),
            system_ticks=int(fields[12]),
            start_ticks=int(fields[19]),
            cpu=int(fields[36]),
        )
    except (ValueError, IndexError) as problem:
        raise Malformed(f"not a line of /proc/PID/task/TID/stat: {raw[:80]!r}") from problem


def parse_system_call(raw: bytes, machine: str) -> SystemCall:
    """Return the system call of a thread: `NR ARG*6 SP PC`, `-1 SP PC` outside of one, or `running`.

    Errors: Malformed.
    """
    words = raw.split()
    if words[:1] == [RUNNING]:
        return SystemCall(name="", number=IN_NO_CALL, arguments=(), stack_address=0, program_address=0, is_running=True)
    try:
        number, *registers = [int(words[0]), *(int(word, 16) for word in words[1:])]
        *arguments, stack, program = registers
    except (ValueError, IndexError) as problem:
        raise Malformed(f"not a line of /proc/PID/syscall: {raw[:80]!r}") from problem
    return SystemCall(
        name="" if number < 0 else system_call_name(machine, number),
        number=number,
        arguments=tuple(arguments),
        stack_address=stack,
        program_address=program,
    )


def parse_schedule(raw: bytes) -> Schedule:
    """Return what /proc/PID/sched says (kernel/sched/debug.c, proc_sched_show_task); keys are whole words.

    `se.exec_start` in milliseconds is when the thread was last put on a CPU or ticked there. Where the kernel was
    built without it the file is missing or shorter.
    """
    values: dict[bytes, bytes] = {}
    for line in raw.split(b"\n"):
        key, separator, value = line.partition(b":")
        if separator:
            values[key.strip()] = value.strip()
    ran_at = _number(values.get(b"se.exec_start"))
    voluntary, involuntary = (_number(values.get(b"nr_%s_switches" % kind)) for kind in (b"voluntary", b"involuntary"))
    return Schedule(
        None if ran_at is None else ran_at / MILLISECONDS,
        None if voluntary is None else int(voluntary),
        None if involuntary is None else int(involuntary),
    )


def _number(word: bytes | None) -> float | None:
    try:
        return None if word is None or len(word) > 40 else float(word)
    except ValueError:
        return None
