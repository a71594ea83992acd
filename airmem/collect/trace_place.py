"""Traces on disk: made, read, cleaned."""

from __future__ import annotations

import os

from airmem.collect import clock
from airmem.collect.place import read_or_empty
from airmem.collect.trace_subject import holds_below
from airmem.errors import UsageProblem
from airmem.model.trace import Trace, TraceFile, TraceMode
from airmem.probes import traces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airmem.kernel.source import Source
    from airmem.model.trace import TracePlan

SUPERVISOR = b"attach_supervisor.py"
MODE_FIELDS = ("with_native", "with_python_allocators", "is_aggregated", "follows_forks")


def default_place() -> str:
    """Return the folder of traces unless another one is named."""
    return traces.default_place()


def free_bytes(path: str) -> int:
    """Return the free space where a path is or will be."""
    return traces.free_bytes(path)


def make_folder(plan: TracePlan) -> str:
    """Make and return the folder of a trace. Errors: UsageProblem."""
    others = plan.subject is not None and plan.subject.user_id != os.geteuid()
    return traces.make_folder(plan.place, plan.label, shared=others)


def check_place(place: str) -> str:
    """Return a folder of traces that somebody named. Errors: UsageProblem when it is none."""
    if not os.path.isdir(place):
        raise UsageProblem(f"there is no folder {place}", "Give the one that was given with -o to airmem trace.")
    return place


def read_traces(source: Source, place: str) -> tuple[Trace, ...]:
    """Return the traces in a place, by name, without verdicts on their files."""
    found = (read_trace(source, folder) for folder in traces.trace_folders(place))
    return tuple(one for one in found if one is not None)


def read_trace(source: Source, folder: str) -> Trace | None:
    """Return one trace, None if the folder's document cannot be read."""
    document = traces.read_document(folder, traces.DOCUMENT)
    if document is None:
        return None
    state = traces.read_document(folder, traces.STATE) or {}
    ended = document.get("ended_at_seconds") or state.get("ended_at_seconds")
    pid = document.get("pid")
    return Trace(
        folder=folder,
        kind=str(document.get("kind", "")),
        label=str(document.get("label", "")),
        title=str(document.get("title", "")),
        pid=pid if isinstance(pid, int) else None,
        mode=_mode(document.get("mode")),
        began_at_seconds=_seconds(document.get("began_at_seconds")) or 0.0,
        ended_at_seconds=_seconds(ended),
        outcome=str(document.get("outcome") or state.get("outcome") or ""),
        stage=str(state.get("stage", "")),
        is_watched=_is_watched(source, state.get("supervisor_pid")),
        detail=str(state.get("said", ""))[:500],
        status=document.get("status") if isinstance(document.get("status"), int) else None,
        files=tuple(_file(source, *one) for one in _captures(folder, document.get("capture_path"))),
    )


def _captures(folder: str, elsewhere: Any) -> list[tuple[str, int]]:
    """Return the captures of a trace with their sizes: those in its folder, and one that had to stay where it was."""
    found = traces.capture_files(folder)
    if isinstance(elsewhere, str) and elsewhere not in dict(found):
        found += traces.capture_file(elsewhere)
    return found


def hidden_folders(place: str) -> list[str]:
    """Return the folders in a place that airmem may not enter."""
    return traces.hidden_folders(place)


def old_traces(source: Source, place: str, older_seconds: float) -> tuple[Trace, ...]:
    """Return the traces that began longer ago than that and that nobody records into any more."""
    before = clock.now_seconds() - older_seconds
    found = read_traces(source, place)
    return tuple(
        one for one in found if one.began_at_seconds < before and not any(file.is_recording for file in one.files)
    )


def remove_trace(trace: Trace) -> int:
    """Remove the files of a trace and return how many bytes that freed. Errors: OSError."""
    return traces.remove_folder(trace.folder)


def _file(source: Source, path: str, size_bytes: int) -> TraceFile:
    pid, role = traces.read_name(path)
    return TraceFile(
        path=path,
        pid=pid,
        role=role,
        size_bytes=size_bytes,
        verdict="unknown",
        detail="",
        is_recording=pid is not None and path in holds_below(source, pid, os.path.dirname(path)),
    )


def _is_watched(source: Source, pid: Any) -> bool | None:
    """Whether the supervisor with this pid is there, None where a trace has none."""
    if not isinstance(pid, int):
        return None
    return SUPERVISOR in read_or_empty(source, f"/proc/{pid}/cmdline")


def _mode(document: Any) -> TraceMode:
    known = document if isinstance(document, dict) else {}
    return TraceMode(**{name: bool(known.get(name)) for name in MODE_FIELDS})


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
