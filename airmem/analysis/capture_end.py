"""How a capture ended: whole, or which way not. memray itself reads a half file without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airmem.model.allocation import CaptureFacts, CaptureState

MOST_SILENCE_SECONDS = 1.0
"""memray takes a snapshot of the heap every 10 ms by a thread of its own. Between the last one and the end of a whole
capture there were 0.01 to 0.02 s; after a disk was full, or in a file cut in half, 1.3 s and more (measured)."""

OPENING_SECONDS = 0.05
"""A file that was never closed has the time of its opening for start and end, up to some ms apart (measured: 1 ms)."""

BLOCK_BYTES = 4096
"""memray grows its file in whole blocks, so that one that the disk stopped ends at a block's end."""

MEMRAY_VERSIONS = {9: "1.5", 10: "1.9 or 1.10", 11: "1.15 to 1.18", 12: "1.19", 13: "1.20"}
"""Version of the file format -> the memray that writes and reads it (measured)."""


def judge_end(facts: CaptureFacts, is_child: bool) -> tuple[str, str]:
    """Return (verdict, what was seen) for one file; the verdict is one of model.allocation.VERDICTS."""
    unread = _judge_unread(facts)
    if unread is not None:
        return unread
    if not is_closed(facts.state):
        if is_child:
            return "ended_early", "a forked process that left without closing it: by os._exit, or by a signal"
        return "killed", "its process never closed it: it was killed, left by os._exit, or still runs"
    return _judge_closed(facts)


def _judge_unread(facts: CaptureFacts) -> tuple[str, str] | None:
    state = facts.state
    if state.header is None:
        return "no_capture", _tell_stranger(state)
    if "incompatible with this version" in facts.problem:
        writer = f"written by memray {memray_of(state)} in Python {state.header.python_version}"
        return "other_version", f"{writer}, file format {state.header.format_id}"
    if state.is_whole is False:
        return "truncated", f"the compressed file ends in the middle, after {state.size_bytes} bytes"
    return ("damaged", facts.problem) if facts.problem and not facts.views else None


def _judge_closed(facts: CaptureFacts) -> tuple[str, str]:
    state, silence_seconds = facts.state, silence_of(facts)
    if state.has_trailer is False or (silence_seconds or 0.0) > MOST_SILENCE_SECONDS:
        lost = "" if silence_seconds is None else f", {silence_seconds:.1f} s before its process closed it"
        if state.is_compressed or state.size_bytes % BLOCK_BYTES == 0:
            return "disk_full", f"its records stop{lost}: memray could not write on"
        return "truncated", f"its records stop{lost}, in the middle of a block"
    if facts.problem:
        return "damaged", facts.problem
    if state.header is not None and state.header.is_aggregated:
        return "aggregated", "sums only: no churn, and no order in time"
    return "complete", ""


def is_closed(state: CaptureState) -> bool:
    """Whether its writer came back to the header at the end: only then does it tell an end and a count."""
    header = state.header
    if header is None:
        return False
    return header.allocation_count > 0 or header.ended_at_seconds - header.started_at_seconds > OPENING_SECONDS


def silence_of(facts: CaptureFacts) -> float | None:
    """Return for how long before its end a closed capture has nothing, in seconds; None where that is unknown."""
    header = facts.state.header
    if header is None or facts.last_at_seconds is None or not is_closed(facts.state):
        return None
    return header.ended_at_seconds - facts.last_at_seconds


def duration_of(facts: CaptureFacts) -> float | None:
    """Return for how long a capture tells, in seconds; None where that is unknown."""
    header = facts.state.header
    if header is None:
        return None
    last = facts.last_at_seconds
    if last is None:
        last = header.ended_at_seconds if is_closed(facts.state) else None
    return None if last is None else max(0.0, last - header.started_at_seconds)


def memray_of(state: CaptureState) -> str:
    """Return the memray that wrote a capture, as precisely as its format tells."""
    number = state.header.format_id if state.header else 0
    if number in MEMRAY_VERSIONS:
        return MEMRAY_VERSIONS[number]
    return f"later than {MEMRAY_VERSIONS[13]}" if number > 13 else "before 1.19"


def python_of(command_line: str) -> str:
    """Return the Python that a traced command line points to, as far as it does: beside its script, or its packages.

    A virtual environment's scripts lie beside its Python, and memray's own main module in its packages.
    """
    script = command_line.partition(" ")[0]
    folder, packages, _ = script.partition("/lib/python3.")
    if packages and "/memray/" in script:
        return f"{folder}/bin/python3"
    folder, _, name = script.rpartition("/")
    return f"{folder}/python3" if folder.endswith("/bin") and name else ""


def _tell_stranger(state: CaptureState) -> str:
    if state.obstacle == "empty":
        return (
            "empty: an aggregated capture is written at the end only, so its process was killed, left by os._exit, "
            "or found the disk full"
        )
    if state.obstacle == "nothing was recorded":
        return "a tracker was made and never began: another one was active in the process"
    return state.obstacle
