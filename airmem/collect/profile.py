"""Python stacks of several processes, again and again over a time: what a profile is made of."""

from __future__ import annotations

from contextlib import suppress

from airmem.errors import Malformed
from airmem.model.stack import ProcessStacks
from airmem.probes.pyspy import DumpRequest, parse_dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.collect.hang_source import HangSource

APART_SECONDS = 0.05
"""Between two rounds, if py-spy is that fast: it takes some 15 ms of CPU for each look (measured)."""

PYSPY_SECONDS = 2.0


def collect_profile(source: HangSource, pids: list[int], seconds: float) -> tuple[list[ProcessStacks], float]:
    """Return the stacks of running processes, round by round, and how long the rounds took; nothing is stopped.

    Errors: ProgramMissing.
    """
    began = source.elapsed_seconds()
    found: list[ProcessStacks] = []
    rounds = source.told("profile rounds", lambda: _look_again(source, pids, began, seconds, found))
    if not found:  # a record: what was kept of the rounds
        for number in range(int(rounds or 0)):
            _look_round(source, pids, number, found)
    took = source.told("profile seconds", lambda: source.elapsed_seconds() - began)
    return found, float(took or seconds)


def _look_again(source: HangSource, pids: list[int], began: float, seconds: float, found: list[ProcessStacks]) -> int:
    number = 0
    while source.elapsed_seconds() < began + seconds:
        next_seconds = source.elapsed_seconds() + APART_SECONDS
        _look_round(source, pids, number, found)
        number += 1
        source.wait_until(min(next_seconds, began + seconds))
    return number


def _look_round(source: HangSource, pids: list[int], number: int, found: list[ProcessStacks]) -> None:
    for pid in pids:
        request = DumpRequest(pid=pid, with_locals=False, deadline_seconds=PYSPY_SECONDS)
        dump = source.dump(f"{pid} profile {number}", request)
        with suppress(Malformed):
            if dump.raw is not None:
                found.append(
                    ProcessStacks(
                        pid=pid,
                        at_seconds=dump.at_seconds,
                        took_seconds=dump.took_seconds,
                        paused_seconds=dump.paused_seconds,
                        has_locals=False,
                        threads=parse_dump(dump.raw),
                    )
                )
