"""What a thread waits for, and what is concluded from it: the nouns of `airmem hang-dump`."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from airmem.model.finding import Finding
    from airmem.model.gap import Gap
    from airmem.model.report import Head
    from airmem.model.stack import Frame

Evidence: TypeAlias = "dict[str, object]"
"""Facts under a verdict by key (docs/commands/hang-dump.md); a list only where several are meant."""

Waiter: TypeAlias = "tuple[int, int]"
"""A thread: (pid, tid)."""

Target: TypeAlias = "tuple[int, int | None]"
"""What a thread waits for: a thread (pid, tid), or a whole process (pid, None)."""


@noun
class Wait:
    """Why one thread stands, or that it runs.

    `needs` are the threads and processes that could end the wait, as far as known; `needs_all` tells that each of them
    must go on (locks, joins) and not just one (who writes to a pipe). `place` names the part of a library in which
    this thread waits by design, empty elsewhere. `is_timed` tells that the wait ends by itself within a minute,
    `is_sure` that the cause was read and not guessed. `nobody` tells that what could end the wait is gone.
    """

    pid: int
    tid: int
    category: str
    evidence: Evidence
    needs: tuple[Target, ...] = ()
    needs_all: bool = True
    place: str = ""
    is_timed: bool = False
    is_sure: bool = True
    nobody: bool = False
    is_deadlocked: bool = False
    since_seconds: float | None = None


@noun
class ThreadVerdict:
    """What is said of one thread. `name` is raw and hostile; `frames` are innermost first.

    `state` is hung, waiting, idle or busy; `since_seconds` is how long ago it last ran.
    """

    tid: int
    name: str | None
    category: str
    state: str
    confidence: str
    since_seconds: float | None
    evidence: Evidence
    frames: tuple[Frame, ...]


@noun
class ProcessVerdict:
    """What is said of one process: `state` is hung, waiting, idle, busy, stopped, zombie, exited or unreadable."""

    pid: int
    parent_pid: int
    role: str
    component: str | None
    title: str
    state: str
    paused_seconds: float
    threads: tuple[ThreadVerdict, ...]


@noun
class Link:
    """One step of a chain: a thread and what it waits in."""

    pid: int
    tid: int
    category: str
    function: str


@noun
class Chain:
    """An end that other threads wait for, or a knot of threads that wait for each other.

    `end` is the thread to look at; `knot` all members, empty where the end itself waits for something outside.
    `blocked` are the processes with a thread that waits for it, directly or not; `links` one way there, from a waiter
    to the end.
    """

    end: Waiter
    knot: tuple[Waiter, ...]
    blocked: tuple[int, ...]
    links: tuple[Waiter, ...]


@noun
class RootCause:
    """What everything else waits for, in words: `chain` leads from one that waits to it."""

    summary: str
    category: str
    pid: int
    tid: int
    blocked: tuple[int, ...]
    chain: tuple[Link, ...]


@noun
class KnownPattern:
    """A hang that others had before: `code` names the rule, `link` leads to the story."""

    code: str
    summary: str
    remedy: str
    link: str


@noun
class ProfileRow:
    """One function over all processes that were looked at: own and total seconds, and their share of all."""

    function: str
    file: str
    own_seconds: float
    total_seconds: float
    own_ratio: float
    total_ratio: float


@noun
class HangReport:
    """The answer to "why does it stand still?". `profile` is None unless it was asked for."""

    head: Head
    window_seconds: float
    stuck_after_seconds: float
    processes: tuple[ProcessVerdict, ...]
    root_causes: tuple[RootCause, ...]
    patterns: tuple[KnownPattern, ...]
    gaps: tuple[Gap, ...]
    findings: tuple[Finding, ...]
    profile: tuple[ProfileRow, ...] | None = None
