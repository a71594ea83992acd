"""What a thread waits for, as the judges of this room say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airmem.model.verdict import Wait

if TYPE_CHECKING:
    from airmem.analysis.waiting.scene import Thread
    from airmem.model.verdict import Evidence, Target


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
