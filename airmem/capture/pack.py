"""Writes the members of a bundle: as a compressed tar, which capture.archive reads, or as a folder."""

from __future__ import annotations

import gzip
import io
import os
from contextlib import suppress

from airmem.capture.archive import BLOCK_BYTES
from airmem.errors import UsageProblem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ROOM = "Give a place that is writable and has room."


def pack_archive(members: dict[str, bytes], at_seconds: float) -> bytes:
    """Return a compressed tar: files of mode 0600 that belong to root."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=3, mtime=at_seconds) as packed:
        for name, raw in members.items():
            for header in _headers(name, len(raw), int(at_seconds)):
                packed.write(header)
            packed.write(raw + bytes(-len(raw) % BLOCK_BYTES))
        packed.write(bytes(2 * BLOCK_BYTES))
    return stream.getvalue()


def _headers(name: str, size_bytes: int, at_seconds: int) -> Iterator[bytes]:
    """Yield the header of a file, after one with its name where that is long (as GNU tar does)."""
    raw = os.fsencode(name)
    if len(raw) > 100:
        yield _header(b"././@LongLink", len(raw) + 1, b"L", at_seconds)
        yield raw + bytes(-len(raw) % BLOCK_BYTES or BLOCK_BYTES)
    yield _header(raw[:100], size_bytes, b"0", at_seconds)


def _header(name: bytes, size_bytes: int, kind: bytes, at_seconds: int) -> bytes:
    fields = name.ljust(100, b"\0") + b"0000600\0" + b"0000000\0" * 2
    fields += b"%011o\0%011o\0" % (size_bytes, at_seconds) + b" " * 8 + kind + bytes(100) + b"ustar\00000"
    fields = fields.ljust(BLOCK_BYTES, b"\0")
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def write_folder(members: dict[str, bytes], path: str) -> None:
    """Write the files into a new folder of mode 0700, through no link. Errors: UsageProblem."""
    folder = path.rstrip("/")
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        raise UsageProblem(f"{folder} exists", "Give a folder that does not exist yet.") from None
    except OSError as problem:
        raise UsageProblem(f"cannot make {folder}: {problem.strerror}", ROOM) from problem
    try:
        for name, raw in members.items():
            _write_below(folder, name, raw)
    except OSError as problem:
        raise UsageProblem(f"cannot write {folder}: {problem.strerror}", ROOM) from problem


def _write_below(folder: str, name: str, raw: bytes) -> None:
    *above, _ = name.split("/")
    for depth in range(len(above)):
        with suppress(FileExistsError):
            os.mkdir("/".join((folder, *above[: depth + 1])), 0o700)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(f"{folder}/{name}", flags, 0o600)
    with open(file, "wb") as stream:
        stream.write(raw)
