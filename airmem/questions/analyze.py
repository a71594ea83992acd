"""Where was it allocated, and by whom is it held?"""

from __future__ import annotations

import os
import sys

from airmem.analysis.allocation import (
    merge_timelines,
    sum_allocators,
    sum_application_frames,
    sum_distributions,
    sum_functions,
    sum_totals,
)
from airmem.analysis.capture_end import duration_of, judge_end, memray_of, python_of
from airmem.analysis.distributions import Distributions, split_library
from airmem.analysis.reading_cost import can_afford_churn, estimate_cost
from airmem.analysis.same_process import find_repeated
from airmem.collect import clock
from airmem.collect.allocations import CaptureCollector, collect_records, collect_states
from airmem.collect.host import collect_host
from airmem.collect.source import open_source
from airmem.errors import NotMeasurable, UsageProblem
from airmem.model.allocation import AnalyzeOptions, AnalyzeReport, CaptureFile
from airmem.model.gap import Gap
from airmem.model.report import Head
from airmem.rules.allocation import REMEDIES, UNREAD, check_captures, is_lower_bound
from airmem.rules.gaps import advise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airmem.model.allocation import AllocationDiff, CaptureFacts, CaptureState, ReadingCost

__all__ = ["AnalyzeOptions", "answer_analyze", "judge_files", "preview_analyze"]


def answer_analyze(
    paths: Sequence[str],
    options: AnalyzeOptions | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> AnalyzeReport:
    """Return what the captures of one run tell together: a parent's file and its workers' are summed.

    `progress` is told how many files of how many are done.
    Errors: NotMeasurable when no file can be read; UsageProblem for no path, or for two recordings of one process;
    ProgramMissing for a wrong `python`.
    """
    asked = options or AnalyzeOptions()
    source = open_source()
    began = clock.monotonic_seconds()
    states = collect_states(_distinct(paths))
    others = collect_states(_distinct(asked.other_paths)) if asked.other_paths else ()
    with_churn = can_afford_churn([*states, *others]) if asked.with_churn is None else asked.with_churn
    views = ("peak", "leaked", "churn") if with_churn else ("peak", "leaked")
    collector = CaptureCollector(views, asked.application, asked.python or sys.executable, progress)
    captures = collector.collect([*states, *others])
    read, compared = captures[: len(states)], captures[len(states) :]
    _check_memray(captures, asked.python)
    for captured in (read, compared):
        _check_repeated(captured)
    files = judge_files(read)
    if not any(one.views for one in read):
        raise _refuse(files)
    known = Distributions(collect_records(_folders(captures)))
    totals = sum_totals(read, is_lower_bound=is_lower_bound(files))
    distributions = sum_distributions(read, known)
    frames = sum_application_frames(read, known)
    diff = _diff(read, compared, known) if compared else None
    return AnalyzeReport(
        head=Head(
            command="analyze",
            taken_at_seconds=clock.now_seconds(),
            took_seconds=clock.monotonic_seconds() - began,
            host=collect_host(source),
        ),
        files=(*files, *judge_files(compared, "other ")),
        totals=totals,
        by_distribution=distributions,
        by_application_frame=frames,
        top_functions=sum_functions(read, known),
        allocators=sum_allocators(read),
        timeline=merge_timelines(read),
        gaps=advise(_gaps(read, files, with_churn)),
        findings=check_captures(files, totals, distributions, frames, diff),
        diff=diff,
    )


def preview_analyze(paths: Sequence[str], with_churn: bool | None = None) -> ReadingCost:
    """Return what reading these files will take, by their headers alone."""
    states = collect_states(_distinct(paths))
    return estimate_cost(states, with_churn=can_afford_churn(states) if with_churn is None else with_churn)


def draw_flamegraph(path: str, python: str = "") -> bytes:
    """Return memray's own flame graph of a capture, as a page. Errors: NotMeasurable, ProgramMissing."""
    from airmem.collect.allocations import collect_flamegraph  # noqa: PLC0415  # seldom asked for

    return collect_flamegraph(path, python)


def judge_files(captures: Sequence[CaptureFacts], prefix: str = "") -> tuple[CaptureFile, ...]:
    """Return each file's verdict and sums."""
    names = {one.state.path for one in captures}
    return tuple(_judge(one, names, prefix) for one in captures)


def _judge(facts: CaptureFacts, names: set[str], prefix: str) -> CaptureFile:
    state, header = facts.state, facts.state.header
    pid = facts.pid if facts.pid is not None else header.pid if header else None
    is_child = _is_child(state, pid, names)
    verdict, detail = judge_end(facts, is_child)
    sums = {view.view: view.total_bytes for view in facts.views}
    return CaptureFile(
        path=state.path,
        verdict=verdict,
        detail=detail,
        remedy=_remedy(verdict, state),
        pid=pid,
        role=prefix + ("worker" if is_child else "parent"),
        command_line=header.command_line if header else "",
        python_version=header.python_version if header else "",
        memray_format_id=header.format_id if header else None,
        duration_seconds=duration_of(facts),
        size_bytes=state.size_bytes,
        peak_bytes=facts.peak_bytes if facts.views else None,
        leaked_bytes=sums.get("leaked"),
        churn_bytes=sums.get("churn"),
    )


def _remedy(verdict: str, state: CaptureState) -> str:
    if verdict != "other_version" or state.header is None:
        return REMEDIES[verdict]
    python = python_of(state.header.command_line)
    if not os.access(python, os.X_OK):
        python = "/path/to/python"
    advice = f"Read it with the Python that was traced, which has memray {memray_of(state)}"
    return f"{advice}: airmem analyze --python {python} {state.path}"


def _is_child(state: CaptureState, pid: int | None, names: set[str]) -> bool:
    """Whether memray made the file for a forked process: it appends the pid to its parent's name."""
    before, dot, last = state.path.rpartition(".")
    return bool(dot) and last.isdecimal() and (before in names or last == str(pid))


def _distinct(paths: Sequence[str]) -> tuple[str, ...]:
    if not paths:
        raise UsageProblem("no file was given", "Give files that memray wrote: airmem analyze FILE...")
    if not any(os.access(path, os.R_OK) for path in paths):
        problem = collect_states(paths[:1])[0].obstacle
        raise UsageProblem(f"cannot read {paths[0]}: {problem}", "Give files that memray wrote and you may read.")
    return tuple(dict.fromkeys(paths))


def _folders(captures: Sequence[CaptureFacts]) -> tuple[str, ...]:
    """Return the folders of installed packages that the captures name."""
    files = {one.package for capture in captures for view in capture.views for one in view.causes}
    files |= {one.place.file for capture in captures for view in capture.views for one in view.functions}
    return tuple(sorted({split_library(file)[0] for file in files} - {""}))


def _diff(read: Sequence[CaptureFacts], compared: Sequence[CaptureFacts], known: Distributions) -> AllocationDiff:
    from airmem.analysis.allocation_diff import diff_captures  # noqa: PLC0415  # only with --diff

    if not any(one.views for one in compared):
        raise _refuse(judge_files(compared))
    return diff_captures(read, compared, known)


def _check_memray(captures: Sequence[CaptureFacts], python: str) -> None:
    """Refuse to go on without memray. Errors: NotMeasurable."""
    if any("No module named 'memray'" in one.problem for one in captures):
        cause = f"{python or 'the Python of airmem'} has no memray, which alone can read its captures"
        raise NotMeasurable(cause, "pip install memray there, or name a Python that has it: --python /path/to/python")


def _check_repeated(captures: Sequence[CaptureFacts]) -> None:
    """Refuse to sum what one process held at two times. Errors: UsageProblem."""
    repeated = find_repeated(captures)
    if repeated is None:
        return
    early, late, is_same = repeated
    lines = (early.state.path, late.state.path)
    if is_same:
        raise UsageProblem("two files are the same recording: it would count twice", "Give one of them.", lines)
    cause = f"two files are recordings of one process ({late.pid}), one after the other: their sum was never held"
    raise UsageProblem(cause, f"Compare them: airmem analyze {lines[0]} --diff {lines[1]}", lines)


def _refuse(files: Sequence[CaptureFile]) -> NotMeasurable:
    lines = tuple(f"{one.path}: {one.verdict.replace('_', ' ')}, {one.detail}" for one in files)
    return NotMeasurable("none of the files can be read", files[0].remedy, lines)


def _gaps(captures: Sequence[CaptureFacts], files: Sequence[CaptureFile], with_churn: bool) -> tuple[Gap, ...]:
    gaps = [
        Gap(pid=one.pid, fact="capture", reason=one.verdict, detail=f"{one.path}: {one.detail}", remedy=one.remedy)
        for one in files
        if one.verdict in UNREAD
    ]
    if any(one.state.header and one.state.header.is_aggregated for one in captures):
        gaps.append(Gap(pid=None, fact="churn_bytes", reason="aggregated", detail="aggregated: it has sums only"))
    elif not with_churn:
        detail = "not read: for large captures it takes far more memory than the rest"
        gaps.append(Gap(pid=None, fact="churn_bytes", reason="churn_not_read", detail=detail))
    return tuple(gaps)
