"""The clock, so that no other room needs one."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import Source


def now_seconds() -> float:
    """Return seconds since 1970."""
    return time.time()


def taken_at_seconds(source: Source) -> float:
    """Return when what a source hands out is, or was, read, in seconds since 1970."""
    return now_seconds() if source.taken_at_seconds is None else source.taken_at_seconds


def took_seconds(source: Source, began_seconds: float) -> float:
    """Return how long reading took: since `began_seconds` of monotonic_seconds, or as long as a capture did."""
    return monotonic_seconds() - began_seconds if source.took_seconds is None else source.took_seconds


def monotonic_seconds() -> float:
    """Return seconds of a clock that only runs forward."""
    return time.monotonic()


def pause_seconds(duration_seconds: float) -> None:
    """Wait."""
    time.sleep(max(0.0, duration_seconds))


def stamp() -> str:
    """Return the time in a form for the names of files: 20260131T235959Z."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def cpu_seconds() -> float:
    """Return the CPU time that this thread has used."""
    return time.thread_time()
