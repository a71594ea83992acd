"""What analysis looks up in a target while it thinks: memory by address, source files by path.

Live lookups keep what they found in a record, if there is one, so that a replay finds exactly the same.
"""

from __future__ import annotations

from contextlib import suppress

from airmem.collect.patience import within
from airmem.collect.processes import living_thread
from airmem.errors import Malformed
from airmem.kernel.source_text import redact_source
from airmem.kernel.stat import parse_stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airmem.kernel.reader import KernelReader, OpenProcess
    from airmem.kernel.record import HangRecord

MOST_SOURCE_BYTES = 4 << 20
MOST_KEPT_BYTES = 1 << 16
"""Longer reads are not kept in a record: whoever searches asks `find`, which keeps what it found."""

BLOCK_BYTES = 1 << 20
UNINTERRUPTIBLE = "D"
"""The state in which a process may hold the lock that reading its memory needs, for ever."""

PATIENCE_SECONDS = 1.0


class LiveMemory:
    """Reads memory through /proc/PID/mem (model.target.Memory); nothing is stopped."""

    def __init__(self, reader: KernelReader, record: HangRecord | None) -> None:
        self._reader = reader
        self._record = record
        self._processes = OpenProcesses(reader)

    def read(self, key: tuple[int, int], address_bytes: int, size_bytes: int) -> bytes:
        """Return the bytes at an address: fewer at an unreadable page, none where nothing can be read."""
        found = self._read(key, address_bytes, size_bytes)
        if self._record is not None and size_bytes <= MOST_KEPT_BYTES:
            self._record.memory[key[0], address_bytes, size_bytes] = found
        return found

    def find(
        self, key: tuple[int, int], word: bytes, ranges: Sequence[tuple[int, int]], limit_bytes: int
    ) -> tuple[int, ...]:
        """Return the addresses, multiples of 8, at which 8 bytes stand in ranges (address, size); see model.target."""
        found: list[int] = []
        left = limit_bytes
        for start, size in ranges:
            for at in range(start, start + min(size, left), BLOCK_BYTES):
                block = self._read(key, at, min(BLOCK_BYTES, start + min(size, left) - at))
                found += [at + offset for offset in _offsets(block, word)]
            left -= min(size, left)
            if left <= 0:
                break
        if self._record is not None:
            self._record.found[key[0], word] = tuple(found)
        return tuple(found)

    def _read(self, key: tuple[int, int], address_bytes: int, size_bytes: int) -> bytes:
        files = self._processes.get(key)
        if files is None or not 0 <= address_bytes < 1 << 63 or size_bytes <= 0:
            return b""
        with suppress(OSError, OverflowError, Malformed):
            if parse_stat(files.read("stat")).state != UNINTERRUPTIBLE:
                return files.read_at("mem", address_bytes, size_bytes)
            return within(PATIENCE_SECONDS, lambda: files.read_at("mem", address_bytes, size_bytes))
        return b""


class LiveSources:
    """Reads source files as a process sees them (model.target.Sources), below its root and never outside of it."""

    def __init__(self, reader: KernelReader, record: HangRecord | None) -> None:
        self._record = record
        self._processes = OpenProcesses(reader)
        self._known: dict[tuple[str, str], str | None] = {}

    def text(self, key: tuple[int, int], path: str) -> str | None:
        """Return a source file of a process without secrets, None if it cannot be read; one root, one answer."""
        files = self._processes.get(key)
        root = self._root(files, key)
        if (root, path) not in self._known:
            self._known[root, path] = None if files is None else self._text(files, path)
        found = self._known[root, path]
        if self._record is not None:
            self._record.sources[key[0], path] = found
        return found

    def _text(self, files: OpenProcess, path: str) -> str | None:
        if not path.startswith("/"):
            return None
        try:
            raw = within(PATIENCE_SECONDS, lambda: files.read_own(path, MOST_SOURCE_BYTES))
        except OSError:
            return None
        return redact_source(raw.decode("utf-8", errors="replace"))

    def _root(self, files: OpenProcess | None, key: tuple[int, int]) -> str:
        """Return what tells one root from another: the mount namespace and the folder in it."""
        if files is None:
            return f"gone {key}"
        try:
            return f"{files.link('ns/mnt')} {files.link('root')}"
        except OSError:
            return f"hidden {key}"


class OpenProcesses:
    """Keeps the folders of processes open, so that none is taken for another that got its pid."""

    def __init__(self, reader: KernelReader) -> None:
        self._reader = reader
        self._open: dict[tuple[int, int], OpenProcess | None] = {}

    def get(self, key: tuple[int, int]) -> OpenProcess | None:
        """Return the files of a process, None if it is gone."""
        if key not in self._open:
            self._open[key] = self._find(key)
        return self._open[key]

    def _find(self, key: tuple[int, int]) -> OpenProcess | None:
        with suppress(OSError, Malformed):
            files = self._reader.process(key[0])
            process = parse_stat(files.read("stat"))
            if process.start_ticks == key[1]:
                thread = living_thread(files, process)
                if thread == key[0]:
                    return files
                with files:  # it is not kept: its memory shows under another id
                    return self._reader.process(thread)
        return None


class KeptMemory:
    """Answers what LiveMemory did; nothing for what was not asked then, or was longer than is kept."""

    def __init__(self, record: HangRecord) -> None:
        self._record = record

    def read(self, key: tuple[int, int], address_bytes: int, size_bytes: int) -> bytes:
        """Return the bytes that were read then."""
        return self._record.memory.get((key[0], address_bytes, size_bytes), b"")

    def find(
        self,
        key: tuple[int, int],
        word: bytes,
        ranges: Sequence[tuple[int, int]],  # noqa: ARG002
        limit_bytes: int,  # noqa: ARG002
    ) -> tuple[int, ...]:
        """Return where a word was found then."""
        return self._record.found.get((key[0], word), ())


def _offsets(block: bytes, word: bytes) -> Iterator[int]:
    at = block.find(word)
    while at >= 0:
        if at % len(word) == 0:
            yield at
        at = block.find(word, at + 1)


class KeptSources:
    """Answers what LiveSources did."""

    def __init__(self, record: HangRecord) -> None:
        self._record = record

    def text(self, key: tuple[int, int], path: str) -> str | None:
        """Return the text that was read then."""
        return self._record.sources.get((key[0], path))
