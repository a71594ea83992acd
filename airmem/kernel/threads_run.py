"""What changes when a thread runs: /proc/PID/task/TID/schedstat, else its counters in stat (proc(5))."""

from __future__ import annotations


def parse_run_count(schedstat: bytes, stat: bytes) -> bytes:
    """Return a value that differs after a thread has run, from the time on a CPU and the number of turns.

    Without schedstat (CONFIG_SCHED_INFO) it is the time on a CPU in clock ticks, which misses short turns.
    """
    if schedstat.strip():
        words = schedstat.split()
        return b" ".join((words[0], words[-1]))
    fields = stat.rpartition(b")")[2].split()
    return b" ".join(fields[11:13])


def parse_catches(status: dict[bytes, bytes], number: int) -> bool:
    """Whether a process has a handler for a signal, from the fields of its status."""
    try:
        return bool(int(status.get(b"SigCgt", b"0"), 16) >> (number - 1) & 1)
    except ValueError:
        return False
