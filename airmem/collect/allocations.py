"""Reads memray's captures through a child program: many small files in one, a large file in one of its own.

A file that crashes memray's reader ends that child only; the files after it are read by the next.
"""

from __future__ import annotations

import json
import sys
from functools import lru_cache

from airmem.kernel.cmdline import redact
from airmem.model.allocation import (
    AllocatorSum,
    CaptureFacts,
    Place,
    PlaceSum,
    TimelinePoint,
    ViewSums,
)
from airmem.model.noun import replace
from airmem.probes import memray_reader
from airmem.probes.installed import read_records
from airmem.probes.memray_file import inspect_capture
from airmem.probes.writer_notes import collect_writers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from airmem.model.allocation import CaptureState
    from airmem.probes.runner import Completed

BATCH_BYTES = 8 << 20
"""Captures that are together smaller than this are read by one child: starting one costs 0.1 s, mostly for memray."""

POINT_COUNT = 400
"""Points of a timeline: what a screen can show."""

LEAST_DEADLINE_SECONDS = 600.0
BYTES_PER_SECOND = 100_000
"""A capture of 58 MB takes 35 s of CPU here; after ten times that a reader is given up."""

ALLOCATORS = {
    2: "pymalloc_malloc", 3: "pymalloc_calloc", 4: "pymalloc_realloc", 6: "malloc", 7: "realloc", 8: "calloc",
    9: "posix_memalign", 10: "aligned_alloc", 11: "memalign", 12: "valloc", 13: "pvalloc", 14: "mmap",
}  # fmt: skip
"""memray's numbers (memray.AllocatorType)."""


class CaptureCollector:
    """Reads captures one after the other.

    `views` are those of model.allocation.VIEWS to read. `application` are folders, or beginnings of paths below
    site-packages, that count as the application; none stands for the default (memray_reader.Places).
    `python` has the memray that reads. `progress` is told how many files of how many are done.
    """

    def __init__(
        self,
        views: Sequence[str],
        application: Sequence[str] = (),
        python: str = sys.executable,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        self._views = list(views)
        self._application = list(application)
        self._python = python
        self._progress = progress

    def collect(self, states: Sequence[CaptureState]) -> tuple[CaptureFacts, ...]:
        """Return the facts of each file, in order. Errors: ProgramMissing, NotMeasurable if there is no such Python."""
        from airmem.probes.programs import require_python  # noqa: PLC0415  # imports shutil

        require_python(self._python)
        readable = [one for one in states if one.header is not None]
        facts: dict[str, CaptureFacts] = {}
        for batch in _batches(readable):
            left = batch
            while left:
                if self._progress is not None:
                    self._progress(len(facts), len(readable))
                done = self._read(left)
                facts.update(done)
                left = [one for one in left if one.path not in done]
        return tuple(facts.get(one.path, CaptureFacts(state=one)) for one in states)

    def _read(self, batch: list[CaptureState]) -> dict[str, CaptureFacts]:
        """Return the facts of the files that one child came to; at least one."""
        views = [view for view in self._views if view != "churn"] if _is_aggregated(batch[0]) else self._views
        from airmem.probes.runner import run_program  # noqa: PLC0415  # loads subprocess

        request = {
            "paths": [one.path for one in batch],
            "views": views,
            "application": self._application,
            "point_count": POINT_COUNT,
        }
        completed = run_program(
            [self._python, memray_reader.__file__],
            deadline_seconds=LEAST_DEADLINE_SECONDS + sum(one.size_bytes for one in batch) / BYTES_PER_SECOND,
            stdin=json.dumps(request).encode(),
            max_output_bytes=1 << 28,
        )
        return _parse(completed, {one.path: one for one in batch}, batch[0])


def collect_states(paths: Sequence[str]) -> tuple[CaptureState, ...]:
    """Return what the bytes of each file tell, command lines without secrets; reads beginnings and ends only.

    Of captures in a trace's folder it is told what was noted of their writers.
    """
    writers = collect_writers(list(paths))
    return tuple(replace(_redact(inspect_capture(path)), writer=writers.get(path)) for path in paths)


def _redact(state: CaptureState) -> CaptureState:
    header = state.header
    if header is None:
        return state
    words = " ".join(redact((header.command_line,)))
    return replace(state, header=replace(header, command_line=words))


def collect_records(folders: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what is installed in folders of packages: their files by path, with the distribution of each."""
    return read_records(folders)


def collect_flamegraph(path: str, python: str = "") -> bytes:
    """Return memray's flame graph of a capture. Errors: NotMeasurable, ProgramMissing."""
    from airmem.probes.flamegraph import draw_flamegraph  # noqa: PLC0415  # loads subprocess

    return draw_flamegraph(path, python or sys.executable)


def _is_aggregated(state: CaptureState) -> bool:
    return state.header is not None and state.header.is_aggregated


def _batches(states: list[CaptureState]) -> Iterator[list[CaptureState]]:
    """Divide files: aggregated ones apart, together at most BATCH_BYTES or a single file."""
    for kind in (False, True):
        batch: list[CaptureState] = []
        for state in (one for one in states if _is_aggregated(one) is kind):
            if batch and sum(one.size_bytes for one in batch) + state.size_bytes > BATCH_BYTES:
                yield batch
                batch = []
            batch.append(state)
        if batch:
            yield batch


def _parse(completed: Completed, states: dict[str, CaptureState], first: CaptureState) -> dict[str, CaptureFacts]:
    facts: dict[str, CaptureFacts] = {}
    path, is_ended = "", True
    for line in completed.stdout.split(b"\n"):
        try:
            word, value = json.loads(line)
        except ValueError:
            continue  # the last line of a child that was ended
        if word == "begin":
            path, is_ended = value, False
            facts[path] = CaptureFacts(state=states[path])
        else:
            is_ended = is_ended or word in ("end", "problem")
            facts[path] = _add(facts[path], word, value)
    if not is_ended:
        facts[path] = replace(facts[path], problem=_tell_end(completed))
    if not facts:
        facts[first.path] = CaptureFacts(state=first, problem=_tell_end(completed))
    return facts


def _tell_end(completed: Completed) -> str:
    if completed.timed_out:
        return f"memray had not read it after {completed.seconds:.0f} s"
    if completed.status < 0:
        return f"memray's reader ended by signal {-completed.status}"
    lines = completed.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"the reader ended with status {completed.status}"


def _add(facts: CaptureFacts, word: str, value: Any) -> CaptureFacts:
    if word == "capture":
        return replace(facts, **value)
    if word == "timeline":
        points = tuple(
            TimelinePoint(at_seconds=at, heap_bytes=heap, rss_bytes=rss, process_count=1)
            for at, heap, rss in value["points"]
        )
        return replace(facts, timeline=points, last_at_seconds=value["last_at_seconds"])
    if word == "view":
        return replace(facts, views=(*facts.views, _view(value)))
    if word == "end":
        return replace(facts, reader_peak_bytes=value["peak_rss_bytes"], reader_cpu_seconds=value["cpu_seconds"])
    return replace(facts, problem=str(value))


def _view(value: dict[str, Any]) -> ViewSums:
    return ViewSums(
        view=value["view"],
        total_bytes=value["total_bytes"],
        stack_count=value["stack_count"],
        functions=tuple(
            PlaceSum(place=_place(function, file, 0), package=file, size_bytes=size, allocation_count=count)
            for function, file, size, count in value["functions"]
        ),
        causes=tuple(
            PlaceSum(
                place=_place(function, file, line),
                package=package,
                size_bytes=size,
                allocation_count=count,
                mapped_bytes=mapped,
            )
            for function, file, line, package, size, count, mapped in value["causes"]
        ),
        allocators=tuple(
            AllocatorSum(allocator=ALLOCATORS.get(number, str(number)), size_bytes=size, allocation_count=count)
            for number, size, count in value["allocators"]
        ),
    )


@lru_cache(maxsize=1 << 16)
def _place(function: str, file: str, line: int) -> Place:
    """Return one place for all that is at it: each view and each file of a tree names the same ones."""
    return Place(function=function, file=file, line=line)
