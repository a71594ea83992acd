"""Asking again and again without becoming a load."""

from __future__ import annotations

from airmem.collect import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    Answer = TypeVar("Answer")

DUTY_CYCLE_RATIO = 0.05
"""A look and what is made of it may take at most this part of the time: reading holds up its target."""

LEAST_PAUSE_SECONDS = 0.1


def repeat(ask: Callable[[], Answer], every_seconds: float, for_seconds: float | None) -> Iterator[Answer]:
    """Yield answers each `every_seconds`, or more slowly where that would exceed the duty cycle, until time is up.

    The consumer's own work (rendering) counts as well. The last answer comes no later than `for_seconds`.
    """
    began = clock.monotonic_seconds()
    while True:
        asked = clock.monotonic_seconds()
        yield ask()
        now = clock.monotonic_seconds()
        wait_seconds = max(every_seconds - (now - asked), (now - asked) * (1 / DUTY_CYCLE_RATIO - 1))
        if for_seconds is not None and now + wait_seconds - began > for_seconds:
            return
        clock.pause_seconds(wait_seconds)


def every(seconds: float) -> Iterator[None]:
    """Yield for ever, at most once in so many seconds; the consumer's work counts as well."""
    while True:
        began = clock.monotonic_seconds()
        yield
        clock.pause_seconds(max(LEAST_PAUSE_SECONDS, seconds - (clock.monotonic_seconds() - began)))
