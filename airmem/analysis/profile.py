"""Where CPU time goes, by function over several processes: own and total time, as `py-spy top` has them."""

from __future__ import annotations

from collections import Counter

from airmem.model.verdict import ProfileRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from airmem.model.stack import ProcessStacks, ThreadStack

Place: TypeAlias = "tuple[str, str]"
"""A function and its file."""


def sum_profile(looks: Iterable[ProcessStacks], seconds: float) -> tuple[ProfileRow, ...]:
    """Return the functions that active threads were in, those with most own time first.

    `looks` are taken evenly over `seconds`. A thread that the scheduler says is asleep does not count. The share is
    that of all active looks, so that the own shares add up to 1; a function that calls itself counts once in its total.
    """
    own: Counter[Place] = Counter()
    total: Counter[Place] = Counter()
    counts: Counter[int] = Counter()
    active = 0
    for look in looks:
        counts[look.pid] += 1
        for thread in look.threads:
            places = _places(thread) if thread.is_active else []
            if places:
                active += 1
                own[places[0]] += 1
                total.update(set(places))
    if not active:
        return ()
    look_seconds = seconds / max(counts.values())
    rows = [
        ProfileRow(
            function=place[0],
            file=place[1],
            own_seconds=round(own[place] * look_seconds, 3),
            total_seconds=round(count * look_seconds, 3),
            own_ratio=round(own[place] / active, 4),
            total_ratio=round(count / active, 4),
        )
        for place, count in total.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.own_ratio, -row.total_ratio, row.function, row.file)))


def _places(thread: ThreadStack) -> list[Place]:
    return [(frame.function, frame.file) for frame in thread.frames]
