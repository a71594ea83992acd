"""What was seen of the writers of captures while they wrote: facts that the files alone do not tell.

memray gives up silently where it cannot write, and the file may look whole afterwards. So the traced program notes for
each of its processes whether memray still recorded when it was told to end, in a file `writers` of the trace's folder:
its room is taken before anything starts, since a full disk is what it tells of. Whoever watches the disk notes in
trace.json or state.json which files had no room to grow.
"""

from __future__ import annotations

import os

from airmem.model.allocation import WriterFacts
from airmem.probes import traces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WORDS = {"recording": True, "gave_up": False}

GROWTH_RATIO = 1.1
"""By so much memray makes a file larger when it is full (FileSink::grow in memray's sink.cpp, 1.15 to 1.20)."""

PAGE_BYTES = 4096
MOST_CRAMPED = 1000


def growth_bytes(size_bytes: int) -> int:
    """Return how much room a capture of this size takes when it grows next."""
    return (int(size_bytes * GROWTH_RATIO) // PAGE_BYTES + 1) * PAGE_BYTES - size_bytes


def read_writers(folder: str, document: dict[str, Any]) -> WriterNotes:
    """Return what is noted in a trace's folder, whose document is `document`."""
    state = traces.read_document(folder, traces.STATE) or {}
    ended = document.get("ended_at_seconds") or state.get("ended_at_seconds")
    cramped = [one for source in (document, state) for one in _pids(source.get("cramped_pids"))]
    return WriterNotes(_ends(folder), frozenset(cramped), bool(ended))


class WriterNotes:
    """What is noted in one folder."""

    def __init__(self, ends: dict[int, bool], cramped: frozenset[int], was_watched: bool) -> None:
        self._ends = ends
        self._cramped = cramped
        self._was_watched = was_watched

    def of(self, pid: int | None) -> WriterFacts | None:
        """Return what is noted of one process."""
        if pid is None:
            return None
        could_grow = False if pid in self._cramped else (True if self._was_watched else None)
        return WriterFacts(was_recording=self._ends.get(pid), could_grow=could_grow)


def collect_writers(paths: list[str]) -> dict[str, WriterFacts]:
    """Return what is noted of the writer of each capture that lies in a trace's folder."""
    notes: dict[str, WriterNotes | None] = {}
    found = {}
    for path in paths:
        folder = os.path.dirname(path)
        if os.path.basename(folder) == traces.ATTEMPT:  # where an attached process makes them
            folder = os.path.dirname(folder)
        if folder not in notes:
            document = traces.read_document(folder, traces.DOCUMENT)
            notes[folder] = None if document is None else read_writers(folder, document)
        known = notes[folder]
        writer = known.of(traces.read_name(path)[0]) if known else None
        if writer is not None:
            found[path] = writer
    return found


def _ends(folder: str) -> dict[int, bool]:
    ends = {}
    for line in traces.read_notes(folder).splitlines():
        pid, _, word = line.partition(" ")
        if pid.isdecimal() and word in WORDS:
            ends[int(pid)] = WORDS[word]
    return ends


def _pids(value: Any) -> list[int]:
    return [one for one in value if isinstance(one, int)] if isinstance(value, list) else []
