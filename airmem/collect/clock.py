"""The clock, so that no other room needs one."""

from __future__ import annotations

import time


def now_seconds() -> float:
    """Return seconds since 1970."""
    return time.time()


def monotonic_seconds() -> float:
    """Return seconds of a clock that only runs forward."""
    return time.monotonic()


def pause_seconds(duration_seconds: float) -> None:
    """Wait."""
    time.sleep(max(0.0, duration_seconds))
