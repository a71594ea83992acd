"""The container of a capture: a tar file, as a rule compressed with gzip, read into memory and never onto a disk.

Whatever is in the file, reading it ends with members or with Malformed: sizes and counts are limited, only plain
files are taken, and names that lead elsewhere or come twice are refused. A file that just ends is not wrong but cut.
"""

from __future__ import annotations

import zlib

from airmem.errors import Malformed
from airmem.units import GIB, MIB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

BLOCK_BYTES = 512
CHUNK_BYTES = 1 << 16
MOST_BYTES = 4 * GIB
MOST_MEMBER_BYTES = 512 * MIB
MOST_MEMBERS = 400_000
LONGEST_NAME = 4096
GZIP = b"\x1f\x8b"
PLAIN, FOLDER, LONG_NAME, EXTENDED, GLOBAL = b"0", b"5", b"L", b"x", b"g"
REMEDY = "Make one with: airmem capture TARGET -o FILE"


def read_archive(file: BinaryIO, name: str) -> dict[str, bytes]:
    """Return the members of a tar file by their names; of a file that was cut, those that are whole.

    `name` is for messages. Errors: Malformed.
    """
    return read_members(file, name)[0]


def read_members(file: BinaryIO, name: str, remedy: str = REMEDY) -> tuple[dict[str, bytes], bool]:
    """Return the members of a tar file by their names, and whether it was cut: it lacks the end that tar writes.

    `name` and `remedy` are for messages. Errors: Malformed.
    """
    stream = _Stream(file, name, remedy)
    members: dict[str, bytes] = {}
    path, longest = "", LONGEST_NAME
    while len(header := stream.take(BLOCK_BYTES)) == BLOCK_BYTES and header.strip(b"\0"):
        kind, own_path, size_bytes = _parse_header(header, stream)
        content = stream.take(size_bytes if kind in (PLAIN, FOLDER) else min(size_bytes, longest))
        padding = stream.take(-size_bytes % BLOCK_BYTES)
        if len(content) < size_bytes or len(padding) < -size_bytes % BLOCK_BYTES:
            if stream.at_end:
                break
            raise stream.malformed("a name or remark that is too long")
        if kind == LONG_NAME:
            path = content.rstrip(b"\0").decode(errors="surrogateescape")
        elif kind == EXTENDED:
            path = _extended_path(content) or path
        elif kind == PLAIN:
            _add(members, path or own_path, content, stream)
            path = ""
        else:
            path = ""
    return members, len(header) < BLOCK_BYTES or bool(header.strip(b"\0"))


class _Stream:
    """What a file holds, unpacked as far as it was asked for."""

    def __init__(self, file: BinaryIO, name: str, remedy: str) -> None:
        self._file = file
        self._name = name
        self._remedy = remedy
        self._first = file.read(BLOCK_BYTES)
        self._unpacker = zlib.decompressobj(31) if self._first.startswith(GZIP) else None
        self._pending = b""
        self._taken = 0
        self.at_end = False

    def take(self, count: int) -> bytes:
        """Return so many bytes, fewer at the end. Errors: Malformed."""
        blocks = []
        missing = count
        while missing and (block := self._pending or self._next()):
            blocks.append(block[:missing])
            self._pending = block[missing:]
            missing -= len(blocks[-1])
        self._taken += count - missing
        if self._taken > MOST_BYTES:
            raise self.malformed(f"more than {MOST_BYTES // MIB} MiB when unpacked")
        return b"".join(blocks)

    def malformed(self, what: str) -> Malformed:
        """Return the error that says what is wrong and where."""
        return Malformed(f"{self._name}: {what} (at byte {self._taken} of what it holds unpacked)", self._remedy)

    def _next(self) -> bytes:
        if self._unpacker is None:
            return self._raw()
        try:
            while not self._unpacker.eof:
                packed = self._unpacker.unconsumed_tail or self._raw()
                if not packed:
                    break
                if block := self._unpacker.decompress(packed, CHUNK_BYTES):
                    return block
        except zlib.error as problem:
            raise self.malformed(f"damaged: {problem}") from problem
        self.at_end = True
        return b""

    def _raw(self) -> bytes:
        block = self._first or self._file.read(CHUNK_BYTES)
        self._first = b""
        self.at_end = not block
        return block


def is_tar(header: bytes) -> bool:
    """Whether a first block is a tar file's, by its checksum. The oldest form, which smemcap writes, has no `ustar`."""
    if len(header) < BLOCK_BYTES or header[257:262] not in (b"ustar", bytes(5)):
        return False
    return sum(header[:148]) + sum(header[156:BLOCK_BYTES]) + 256 == _octal(header[148:156])


def _parse_header(header: bytes, stream: _Stream) -> tuple[bytes, str, int]:
    """Return (kind, path, size in bytes) of a member. Errors: Malformed."""
    if not is_tar(header):
        raise stream.malformed("not a tar file, or damaged")
    kind = header[156:157].replace(b"\0", PLAIN)
    if kind not in (PLAIN, FOLDER, LONG_NAME, EXTENDED, GLOBAL):
        raise stream.malformed(f"a member that is no plain file (kind {kind!r}): links and devices are refused")
    size_bytes = _octal(header[124:136])
    if size_bytes is None or size_bytes > MOST_MEMBER_BYTES or (kind == FOLDER and size_bytes):
        raise stream.malformed(f"a member without a size, or of more than {MOST_MEMBER_BYTES // MIB} MiB")
    prefix = header[345:500].partition(b"\0")[0] if header[262:263] == b"\0" else b""
    path = (prefix + b"/" if prefix else b"") + header[:100].partition(b"\0")[0]
    return kind, path.decode(errors="surrogateescape"), size_bytes


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _extended_path(records: bytes) -> str:
    """Return the path in the records of a pax header (`LENGTH path=NAME`), or an empty text."""
    for record in records.split(b"\n"):
        keyword, _, value = record.partition(b" ")[2].partition(b"=")
        if keyword == b"path":
            return value.decode(errors="surrogateescape")
    return ""


def _add(members: dict[str, bytes], path: str, content: bytes, stream: _Stream) -> None:
    path = path.removeprefix("./")
    if not path or len(path) > LONGEST_NAME or any(part in ("", ".", "..") for part in path.split("/")):
        raise stream.malformed(f"a member whose name leads elsewhere: {path[:80]!r}")
    if path in members:
        raise stream.malformed(f"a member that comes twice: {path[:80]!r}")
    if len(members) >= MOST_MEMBERS:
        raise stream.malformed(f"more than {MOST_MEMBERS} members")
    members[path] = content
