"""Work that must end in time, whatever it is stuck in."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def within(seconds: float, work: Callable[[], None], late: Callable[[], None]) -> None:
    """Do some work; after so many seconds stop it where it stands and call `late` instead."""
    from signal import ITIMER_REAL, SIGALRM, setitimer, signal  # noqa: PLC0415

    before = signal(SIGALRM, _raise_late)
    setitimer(ITIMER_REAL, seconds)
    try:
        work()
    except TimeUpError:
        setitimer(ITIMER_REAL, 0)
        late()
    finally:
        setitimer(ITIMER_REAL, 0)
        signal(SIGALRM, before)


class TimeUpError(BaseException):
    """The time for evidence is over; no handler of ordinary errors may swallow it."""


def _raise_late(number: int, frame: object) -> None:  # noqa: ARG001  # a handler's signature
    raise TimeUpError
