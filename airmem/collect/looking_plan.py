"""How to look at a tree that may stand still."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LookingPlan:
    """`look_count` looks at /proc in `window_seconds`, then stacks; all within `deadline_seconds`.

    `pyspy_seconds` is the deadline of each py-spy, `job_count` how many run at once (None: one for each CPU).
    `is_blocking` stops each process while its stacks are read; `with_native` needs it. `extra_look_count` are the
    further looks at the stacks of what used CPU, at most.
    """

    look_count: int = 3
    window_seconds: float = 1.0
    deadline_seconds: float = 60.0
    pyspy_seconds: float = 3.0
    job_count: int | None = None
    with_native: bool = False
    is_blocking: bool = False
    extra_look_count: int = 8
