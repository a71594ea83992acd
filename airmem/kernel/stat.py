"""/proc/PID/stat and /proc/stat (proc(5))."""

from __future__ import annotations

from airmem.errors import Malformed
from airmem.model.process import Process

MOST_DIGITS = 20
"""No number of the kernel's has more: 2^64 has 20."""


def parse_stat(raw: bytes) -> Process:
    """Return the process that one /proc/PID/stat line describes, without its arguments.

    The command may hold `)`, spaces and newlines, so the fields begin after the last `)`.
    Errors: Malformed.
    """
    head, _, tail = raw.rpartition(b")")
    pid, _, command = head.partition(b" (")
    fields = tail.split()
    try:
        return Process(
            pid=int(pid),
            parent_pid=int(fields[1]),
            start_ticks=int(fields[19]),
            command=command.decode(errors="surrogateescape"),
            state=fields[0].decode("ascii"),
            session_id=int(fields[3]),
            flags=int(fields[6]),
            thread_count=int(fields[17]),
            rss_pages=int(fields[21]),
        )
    except (ValueError, IndexError) as problem:
        raise Malformed(f"not a line of /proc/PID/stat: {raw[:80]!r}") from problem


def parse_parent_pid(raw: bytes) -> int:
    """Return only the parent's pid of one /proc/PID/stat line. Errors: Malformed."""
    _, end_of_command, tail = raw.rpartition(b") ")
    fields = tail.split(b" ", 2) if end_of_command else []
    try:
        return int(fields[1])
    except (ValueError, IndexError) as problem:
        raise Malformed(f"not a line of /proc/PID/stat: {raw[:80]!r}") from problem


def parse_fault_count(raw: bytes) -> int:
    """Return how many page faults, minor and major, a process has had by its /proc/PID/stat line. Errors: Malformed."""
    fields = raw.rpartition(b")")[2].split()
    try:
        return int(fields[7]) + int(fields[9])
    except (ValueError, IndexError) as problem:
        raise Malformed(f"not a line of /proc/PID/stat: {raw[:80]!r}") from problem


def parse_boot_time(raw: bytes) -> int | None:
    """Return when the machine booted, in seconds since 1970, from /proc/stat; None if it does not say."""
    for line in raw.splitlines():
        if line.startswith(b"btime "):
            seconds = line[6:].strip()
            return int(seconds) if seconds.isdigit() and len(seconds) <= MOST_DIGITS else None
    return None
