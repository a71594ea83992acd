"""How a capture ended: whole, or which way not. memray itself reads a half file without a word."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.allocation import CaptureFacts, CaptureState

MOST_SILENCE_SECONDS = 1.0
"""memray takes a snapshot of the heap every 10 ms by a thread of its own. Between the last one and the end of a whole
capture there were 0.01 to 0.02 s; after a disk was full, or in a file cut in half, 1.3 s and more (measured)."""

OPENING_SECONDS = 0.05
"""A file that was never closed has the time of its opening for start and end, up to some ms apart (measured: 1 ms)."""

BLOCK_BYTES = 4096
"""memray grows its file in whole blocks, so that one that the disk stopped ends at a block's end."""

LEAST_ROOM_BYTES = 256
"""What does not fit into less: a path, or the table of lines of a function (measured: up to some hundred bytes)."""

MEMRAY_VERSIONS = {9: "1.5", 10: "1.9 or 1.10", 11: "1.15 to 1.18", 12: "1.19", 13: "1.20"}
"""Version of the file format -> the memray that writes and reads it (measured)."""


def judge_end(facts: CaptureFacts, is_child: bool) -> tuple[str, str]:
    """Return (verdict, what was seen) for one file; the verdict is one of model.allocation.VERDICTS."""
    unread = _judge_unread(facts)
    if unread is not None:
        return unread
    return _judge_closed(facts) if is_closed(facts.state) else _judge_open(facts.state, is_child)


def _judge_unread(facts: CaptureFacts) -> tuple[str, str] | None:
    state = facts.state
    if state.header is None:
        if state.obstacle == "empty" and state.writer and state.writer.was_recording is not None:
            return "disk_full", "empty: it was closed, and memray could not write anything"
        return "no_capture", _tell_stranger(state)
    if "incompatible with this version" in facts.problem:
        writer = f"written by memray {memray_of(state)} in Python {state.header.python_version}"
        return "other_version", f"{writer}, file format {state.header.format_id}"
    if state.is_whole is False:
        return "truncated", f"the compressed file ends in the middle, after {state.size_bytes} bytes"
    return ("damaged", facts.problem) if facts.problem and not facts.views else None


def _judge_open(state: CaptureState, is_child: bool) -> tuple[str, str]:
    """Judge a file that its writer never closed."""
    if _has_filled_up(state):
        return "disk_full", "its records go to the very end of the file: memray could not write on"
    if is_child:
        return "ended_early", "a forked process that left without closing it: by os._exit, or by a signal"
    return "killed", "its process never closed it: it was killed, left by os._exit, or still runs"


def _has_filled_up(state: CaptureState) -> bool:
    """Whether an open file has no room left inside.

    When a file cannot grow, memray's snapshots, 8 bytes every 10 ms, still fill what is left of its last block. Where
    somebody watched, room on the disk was seen or not; where nobody did, only a file without any padding is one.
    """
    if state.padding_bytes is None or state.size_bytes % BLOCK_BYTES:
        return False
    could_grow = state.writer.could_grow if state.writer else None
    if could_grow is None:
        return state.padding_bytes == 0
    return not could_grow and state.padding_bytes < LEAST_ROOM_BYTES


def _judge_closed(facts: CaptureFacts) -> tuple[str, str]:
    state = facts.state
    lost = _judge_loss(facts)
    if lost:
        is_cut = not state.is_compressed and state.size_bytes % BLOCK_BYTES
        return ("truncated", f"{lost}, in the middle of a block") if is_cut else ("disk_full", lost)
    if facts.problem:
        return "damaged", facts.problem
    if state.header is not None and state.header.is_aggregated:
        return "aggregated", "sums only: no churn, and no order in time"
    return "complete", ""


def _judge_loss(facts: CaptureFacts) -> str:
    """Return what shows that a closed file lacks what came last, empty if nothing does.

    What memray itself said when it was told to end outweighs what is only inferred.
    """
    state, writer = facts.state, facts.state.writer
    if writer and writer.was_recording is False:
        return "memray had given up before it was told to end: it could not write on"
    if state.has_trailer is False:
        return "its records stop before the file was closed: memray could not write on"
    if facts.complaint:
        return f"its records end inside one ({facts.complaint.splitlines()[0]}): memray could not write on"
    return "" if writer and writer.was_recording else _infer_loss(facts)


def _infer_loss(facts: CaptureFacts) -> str:
    """Return what makes a loss likely in a closed file whose writer told nothing, empty if nothing does."""
    state, writer = facts.state, facts.state.writer
    if state.has_trailer and state.padding_bytes == 0:
        return "its records go to the very end of the file: memray could not write on"
    if writer and writer.could_grow is False and not state.has_trailer:
        return "the disk had no room left for it to grow: what came last may be missing"
    silence_seconds = silence_of(facts) or 0.0
    if silence_seconds > MOST_SILENCE_SECONDS:
        return f"its records stop {silence_seconds:.1f} s before its process closed it: memray could not write on"
    return ""


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
