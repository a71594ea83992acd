"""How often a process may be disturbed: reading its memory or its page table takes its mmap lock.

Each page of contents and each 2 MiB of a page table takes the lock for an instant. A process that maps and unmaps
wants the same lock for itself: read without a pause it gets 0.14 to 0.5 of its throughput, since a reader that comes
back at once takes the lock again before a waiting writer has woken up. Two things keep that small: a bounded share of
the time, and short reads with pauses between, so that whoever waits never waits for long. A process without page faults
maps nothing, and is read in long stretches. docs/commands/cow.md has the figures.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass

from airmem.collect import clock
from airmem.errors import Malformed
from airmem.kernel.stat import parse_fault_count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airmem.kernel.source import Source
    from airmem.model.contents import ProcessKey

DUTY_RATIO = 0.04
"""At most this share of the time is spent reading from a process at work, and so at most as much it waits for that."""

RESTING_DUTY_RATIO = 0.5
"""The same of a process that has no page faults: it maps nothing that its lock would hold up."""

LOOK_SECONDS = 0.02
"""After so long the page faults are looked at again."""

QUIET_SECONDS = 0.1
"""A process is at work until it has had no page fault for so long."""

LEAST_PAUSE_SECONDS = 0.0001
"""A shorter pause is not worth a call: the kernel adds 50 us of its own (timerslack, proc(5)). It is owed."""

CREDIT_SECONDS = 0.002
"""So much of a pause that was longer than needed counts for the next one: on a busy machine a pause lasts some ms."""


@dataclass(slots=True)
class _Process:
    """What is known of one process: whether it is at work, and from when on it may be read again."""

    fault_count: int = -1
    looked_seconds: float = 0.0
    faulted_seconds: float | None = None
    is_at_work: bool = True
    free_seconds: float = 0.0


class Pace:
    """Says when a process may be read. Nobody waits where a copy of its files is read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._processes: dict[ProcessKey, _Process] = {}
        self.duty_ratio = DUTY_RATIO if source.is_live else None
        """The largest share of the time that was allowed for reading any process so far; None for a copy."""

    def watch(self, keys: Iterable[ProcessKey]) -> None:
        """Look at the page faults of these processes, so that a later look tells who is at work."""
        for key in keys:
            self._look(key)

    def is_at_work(self, key: ProcessKey) -> bool:
        """Whether a process has had page faults lately; also where that is not known yet."""
        return self._source.is_live and self._look(key).is_at_work

    def rest(self, key: ProcessKey) -> None:
        """Wait until this process may be read again."""
        if not self._source.is_live:
            return
        pause_seconds = self._look(key).free_seconds - clock.monotonic_seconds()
        if pause_seconds > LEAST_PAUSE_SECONDS:
            clock.pause_seconds(pause_seconds)

    @contextmanager
    def reading(self, key: ProcessKey) -> Iterator[None]:
        """Wait until this process may be read again, and take down how long the block then reads.

        Of a process at work by the wall: a reader that has to wait for a core may hold the lock meanwhile, since who
        releases it hands it to those that wait (kernel/locking/rwsem.c). Of one that rests by the processor's time.
        """
        self.rest(key)
        began_seconds, cpu_seconds = clock.monotonic_seconds(), clock.cpu_seconds()
        yield
        is_at_work = self.is_at_work(key)
        now_seconds = clock.monotonic_seconds()
        self.spend(key, now_seconds - began_seconds if is_at_work else clock.cpu_seconds() - cpu_seconds)

    def spend(self, key: ProcessKey, read_seconds: float) -> None:
        """Take down that reading took so much."""
        if not self._source.is_live:
            return
        process = self._look(key)
        ratio = DUTY_RATIO if process.is_at_work else RESTING_DUTY_RATIO
        self.duty_ratio = max(self.duty_ratio or 0.0, ratio)
        least_seconds = clock.monotonic_seconds() - CREDIT_SECONDS
        process.free_seconds = max(process.free_seconds, least_seconds) + read_seconds * (1 / ratio - 1)

    def _look(self, key: ProcessKey) -> _Process:
        process = self._processes.setdefault(key, _Process())
        now = clock.monotonic_seconds()
        if now - process.looked_seconds < LOOK_SECONDS:
            return process
        with suppress(OSError, Malformed), self._source.process(key[0]) as files:
            count = parse_fault_count(files.read("stat"))
            is_first = process.fault_count < 0
            if count != process.fault_count and not is_first:
                process.faulted_seconds = now
            process.fault_count = count
            process.looked_seconds = now
            last = process.faulted_seconds
            process.is_at_work = is_first or (last is not None and now - last < QUIET_SECONDS)
        return process
