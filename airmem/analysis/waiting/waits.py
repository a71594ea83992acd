"""What a thread waits for, as the judges of this room say it."""

from __future__ import annotations

from airmem.model.verdict import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.scene import Thread
    from airmem.model.verdict import Evidence, Target

HANDLED_SIGNALS = 1 << 14 | 1 << 0 | 1 << 9 | 1 << 11
"""SIGTERM, SIGHUP, SIGUSR1, SIGUSR2; Python itself catches SIGINT."""


def handles_signals(thread: Thread) -> bool:
    """Whether the process of a thread has a handler for a signal that daemons are woken and ended by."""
    return bool((thread.process.caught_signals_mask or 0) & HANDLED_SIGNALS)


def wait_of(
    thread: Thread,
    category: str,
    evidence: Evidence,
    *,
    needs: tuple[Target, ...] = (),
    needs_all: bool = True,
    place: str = "",
    is_sure: bool = True,
    nobody: bool = False,
) -> Wait:
    """Return a thread's wait (see model.verdict.Wait)."""
    return Wait(
        pid=thread.pid,
        tid=thread.tid,
        category=category,
        evidence=evidence,
        needs=needs,
        needs_all=needs_all,
        place=place,
        is_sure=is_sure,
        nobody=nobody,
    )
