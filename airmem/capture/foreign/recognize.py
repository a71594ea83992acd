"""What a file is, by its content and never by its name: a capture, a smemcap tar, smaps, or pmap's output."""

from __future__ import annotations

import os
import sys
import zlib

from airmem.capture.archive import GZIP, is_tar, read_archive
from airmem.capture.facts import PLACE
from airmem.errors import Malformed, UsageProblem
from airmem.units import MIB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from airmem.capture.foreign.copies import CopiedReader, Store
    from airmem.capture.foreign.facts import ToldProcesses
    from airmem.kernel.source import Source

HEAD_BYTES = 512
MOST_TEXT_BYTES = 256 * MIB
CHUNK_BYTES = 1 << 16
MOST_KEYS_BYTES = 4096
BUNDLE = "airmem/hang.json"
"""The member by which a bundle of hang-dump is known (capture/hang_bundle.py)."""
ACCEPTED = (
    "--from accepts a capture (airmem capture), a folder with a copy of /proc, a smemcap tar, a saved smaps or"
    " smaps_rollup, and the output of pmap"
)


def open_any(path: str) -> Source:
    """Return what a file or folder holds, as a source; `-` is standard input.

    Errors: UsageProblem when it cannot be read, Malformed when it is nothing of what is known.
    """
    try:
        if path == "-":
            return read_any(sys.stdin.buffer, "standard input", _written_at(sys.stdin.buffer))
        if os.path.isdir(path):
            return _open_folder(path)
        with open(path, "rb") as file:
            return read_any(file, path, _written_at(file))
    except OSError as problem:
        raise UsageProblem(f"cannot read {path}: {problem.strerror}", "Give a file that you may read.") from problem


def read_any(file: BinaryIO, name: str, taken_at_seconds: float | None) -> Source:
    """Return what a stream of bytes is; `name` is for messages. Errors: Malformed, OSError."""
    head = file.read(HEAD_BYTES)
    begun: BinaryIO = _Begun(head, file)  # type: ignore[assignment]  # of a file only read() is needed
    try:
        first = zlib.decompressobj(31).decompress(head, HEAD_BYTES) if head.startswith(GZIP) else head
    except zlib.error as problem:
        raise Malformed(f"{name}: damaged: {problem}", ACCEPTED) from problem
    if is_tar(first):
        return _read_tar(begun, name, taken_at_seconds)
    return _read_text(_unpack(begun, name, head.startswith(GZIP)), name, taken_at_seconds)


class _Begun:
    """A stream of which the first bytes were read already."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file

    def read(self, count: int) -> bytes:
        """Return so many bytes, fewer at the end."""
        head, self._head = self._head[:count], self._head[count:]
        return head if len(head) == count else head + self._file.read(count - len(head))


def _read_tar(file: BinaryIO, name: str, taken_at_seconds: float | None) -> Source:
    from airmem.capture.foreign.copies import CopiedReader, is_pid  # noqa: PLC0415  # only the form that is there
    from airmem.capture.foreign.stores import Members  # noqa: PLC0415
    from airmem.capture.reader import CaptureReader  # noqa: PLC0415

    members = read_archive(file, name)
    if BUNDLE in members:
        raise _bundle(name)
    if PLACE not in members:
        for folder in ("", "proc/"):
            paths = [path.removeprefix(folder).split("/") for path in members if path.startswith(folder)]
            if any(len(parts) == 2 and is_pid(parts[0]) and parts[1] == "stat" for parts in paths):
                return CopiedReader(Members(members), "/" * bool(folder) + folder.rstrip("/"), taken_at_seconds)
    return CaptureReader(members, name)


def _bundle(name: str) -> Malformed:
    return Malformed(f"{name} is a bundle of hang-dump, no capture", f"Ask it with: airmem hang-dump --from {name}")


def _open_folder(path: str) -> Source:
    from airmem.capture.foreign.copies import CopiedReader, is_pid  # noqa: PLC0415
    from airmem.capture.foreign.stores import Folder  # noqa: PLC0415
    from airmem.capture.foreign.told import ToldSource  # noqa: PLC0415

    if os.path.exists(os.path.join(path, BUNDLE)):
        raise _bundle(path)
    store = Folder(path)
    folders = ["/proc"] * os.path.isdir(os.path.join(path, "proc")) + [""]
    for folder in folders:
        if pids := [one for one in store.entries(folder or "/") if is_pid(one)]:
            taken_at_seconds = os.stat(f"{path}{folder}/{pids[0]}").st_mtime
            reader = CopiedReader(store, folder, taken_at_seconds)
            told = None if any(_has(store, f"{folder}/{pid}/stat") for pid in pids) else _tell(reader, path)
            return ToldSource(told, path, taken_at_seconds) if told else reader
    raise Malformed(
        f"{path}: a folder without process folders (named by pid, with stat and smaps), and without such a proc folder",
        "Give the folder above one process's, or a single file.",
    )


def _has(store: Store, path: str) -> bool:
    try:
        return bool(store.read(path))
    except OSError:
        return False


def _tell(reader: CopiedReader, path: str) -> ToldProcesses | None:
    """Return what the smaps of processes tell of which nothing else was copied. Errors: Malformed."""
    from airmem.capture.foreign.facts import ToldProcesses, split_lines  # noqa: PLC0415
    from airmem.capture.foreign.saved_smaps import is_smaps, parse_saved  # noqa: PLC0415

    found = []
    for pid in reader.process_ids():
        for name in ("smaps", "smaps_rollup"):
            try:
                lines = split_lines(reader.read(f"/proc/{pid}/{name}"))
            except OSError:
                continue
            if not is_smaps(lines):
                raise Malformed(f"{path}/{pid}/{name}, line 1: it does not begin like {name}", ACCEPTED)
            found.append(parse_saved(lines, f"{path}/{pid}/{name}", pid))
            break
    processes = tuple(process for one in found for process in one.processes)
    return ToldProcesses(form=found[0].form, processes=processes) if found else None


def _unpack(file: BinaryIO, name: str, is_packed: bool) -> bytes:
    """Return the whole text. Errors: Malformed when it is damaged or too large."""
    unpacker = zlib.decompressobj(31) if is_packed else None
    blocks, size = [], 0
    while packed := file.read(CHUNK_BYTES):
        while packed:
            try:
                block = unpacker.decompress(packed, CHUNK_BYTES) if unpacker else packed
            except zlib.error as problem:
                raise Malformed(f"{name}: damaged: {problem}", ACCEPTED) from problem
            packed = unpacker.unconsumed_tail if unpacker else b""
            blocks.append(block)
            size += len(block)
            if size > MOST_TEXT_BYTES:
                raise Malformed(f"{name}: more than {MOST_TEXT_BYTES // MIB} MiB of text", ACCEPTED)
    return b"".join(blocks)


def _read_text(raw: bytes, name: str, taken_at_seconds: float | None) -> Source:
    from airmem.capture.foreign.told import ToldSource  # noqa: PLC0415  # only the form that is there

    return ToldSource(parse_text(raw, name), name, taken_at_seconds)


def parse_text(raw: bytes, name: str) -> ToldProcesses:
    """Return what a text tells: smaps, smaps_rollup or pmap's output. Errors: Malformed."""
    from airmem.capture.foreign.facts import malformed, shown, split_lines  # noqa: PLC0415
    from airmem.capture.foreign.pmap import is_pmap, parse_pmap  # noqa: PLC0415
    from airmem.capture.foreign.saved_smaps import is_smaps, parse_saved  # noqa: PLC0415

    lines = split_lines(raw)
    if not any(line.strip() for line in lines):
        raise Malformed(f"{name} is empty", ACCEPTED)
    if is_smaps(lines):
        return parse_saved(lines, name)
    if is_pmap(lines):
        return parse_pmap(lines, name)
    if raw.lstrip().startswith(b"{") and b'"airmem_version"' in raw[:MOST_KEYS_BYTES]:
        remedy = f"Compare with it: airmem pss TARGET --diff {name}; to ask again elsewhere take a capture"
        raise Malformed(f"{name} is an answer of airmem, not what it was made from", remedy)
    raise malformed(name, 1, f"nothing that airmem knows: {shown(lines[0])}", ACCEPTED)


def _written_at(file: BinaryIO) -> float | None:
    """Return when a plain file was last written, in seconds since 1970; None for a pipe."""
    try:
        status = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return status.st_mtime if status.st_mode & 0o170000 == 0o100000 else None
