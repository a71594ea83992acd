"""What the bytes of a memray capture tell without memray: its version, its process, whether its end is there.

A capture is a header, then records; memray compresses it as one LZ4 frame when it closes it. Of an LZ4 frame only the
lengths of its blocks are walked, and the first bytes unpacked. Sources: memray's records.h and record_writer.cpp (the
header), lz4_Frame_format.md and lz4_Block_format.md (1.6.3).
"""

from __future__ import annotations

import os
import stat
import struct

from airmem.model.allocation import CaptureHeader, CaptureState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

MAGIC = b"memray\0"
LZ4_MAGIC = b"\x04\x22\x4d\x18"
HEADER = struct.Struct("<7siIBBQQqq")
"""Magic, format version, Python's hex version, native traces, aggregated, allocations, frames, start and end in ms."""

COMMAND_LINE_BYTES = 4096
HEAD_BYTES = HEADER.size + COMMAND_LINE_BYTES
TRAILER, TRAILER_OF_SUMS = 1, 15
"""The last byte of a closed file before the zeros that memray pads it with: RecordType::TRAILER, and AGGREGATED_TRAILER
of an aggregated file (memray's records.h, format versions 12 and 13)."""

BLOCK_BYTES = 4096
"""memray grows a file that it does not compress in whole blocks, and leaves it so (measured)."""

TAIL_BYTES = 1 << 20
"""So much is read at once from the end: the padding may be a tenth of the file, as memray grows it by that much."""

MOST_BLOCKS = 1 << 22
"""An LZ4 frame of 256 GiB in its blocks of 64 KiB: more is no capture."""


def inspect_capture(path: str) -> CaptureState:
    """Return what a file's bytes tell. Files that cannot be read are told by `obstacle`, not raised."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as problem:
        return _state(path, obstacle=problem.strerror or "cannot be opened")
    facts = os.fstat(file)
    if not stat.S_ISREG(facts.st_mode):
        os.close(file)
        return _state(path, obstacle="no regular file")
    with open(file, "rb", buffering=0) as stream:
        try:
            return _inspect(path, stream, facts.st_size)
        except OSError as problem:
            return _state(path, facts.st_size, obstacle=problem.strerror or "cannot be read")


def _inspect(path: str, stream: BinaryIO, size_bytes: int) -> CaptureState:
    if size_bytes == 0:
        return _state(path, obstacle="empty")
    beginning = stream.read(2 * HEAD_BYTES)
    is_compressed = beginning.startswith(LZ4_MAGIC)
    head = unpack_beginning(beginning, HEAD_BYTES) if is_compressed else beginning
    header = parse_header(head)
    if header is None:
        # A tracker that never began leaves the LZ4 frame of nothing: 11 bytes.
        obstacle = "nothing was recorded" if is_compressed and not head else "no memray header"
        return _state(path, size_bytes, is_compressed=is_compressed, obstacle=obstacle)
    trailer = TRAILER_OF_SUMS if header.is_aggregated else TRAILER
    last, padding = (0, 0) if is_compressed else _find_end(stream, size_bytes)
    return CaptureState(
        path=path,
        size_bytes=size_bytes,
        header=header,
        is_compressed=is_compressed,
        is_whole=_ends_as_frame(stream, size_bytes) if is_compressed else None,
        has_trailer=None if is_compressed else last == trailer and size_bytes % BLOCK_BYTES == 0,
        obstacle="",
        padding_bytes=None if is_compressed else padding,
    )


def _state(path: str, size_bytes: int = 0, *, is_compressed: bool = False, obstacle: str) -> CaptureState:
    return CaptureState(
        path=path,
        size_bytes=size_bytes,
        header=None,
        is_compressed=is_compressed,
        is_whole=None,
        has_trailer=None,
        obstacle=obstacle,
    )


def parse_header(head: bytes) -> CaptureHeader | None:
    """Return a capture's header from its first bytes, unpacked; None when it is none."""
    if len(head) < HEADER.size or not head.startswith(MAGIC):
        return None
    _, number, python, native, aggregated, count, _, start_ms, end_ms = HEADER.unpack_from(head)
    words, _, rest = head[HEADER.size :].partition(b"\0")
    return CaptureHeader(
        format_id=number,
        python_version=f"{python >> 24}.{python >> 16 & 0xFF}",
        pid=int.from_bytes(rest[:4], "little") if len(rest) >= 4 else None,
        has_native_traces=bool(native),
        is_aggregated=bool(aggregated),
        allocation_count=count,
        started_at_seconds=start_ms / 1000,
        ended_at_seconds=end_ms / 1000,
        command_line=words.decode(errors="surrogateescape"),
    )


def frame_header_bytes(beginning: bytes) -> int | None:
    """Return how long an LZ4 frame's header is; None when it is none."""
    if len(beginning) < 7 or not beginning.startswith(LZ4_MAGIC):
        return None
    flags = beginning[4]
    return 7 + 8 * bool(flags & 0x08) + 4 * bool(flags & 0x01)


def unpack_beginning(beginning: bytes, most_bytes: int) -> bytes:
    """Return up to `most_bytes` of what an LZ4 frame holds, from the first bytes of its first block."""
    at = frame_header_bytes(beginning)
    if at is None or len(beginning) < at + 4:
        return b""
    (size,) = struct.unpack_from("<I", beginning, at)
    block = beginning[at + 4 : at + 4 + (size & 0x7FFFFFFF)]
    return block[:most_bytes] if size >> 31 else unpack_block(block, most_bytes)


def unpack_block(block: bytes, most_bytes: int) -> bytes:
    """Return up to `most_bytes` of an LZ4 block; a block that ends early gives what it holds until there."""
    out = bytearray()
    at = 0
    while at < len(block) and len(out) < most_bytes:
        token = block[at]
        count, at = _length(block, at + 1, token >> 4)
        out += block[at : at + count]
        at += count
        if at + 2 > len(block):
            break
        offset = block[at] | block[at + 1] << 8
        count, at = _length(block, at + 2, token & 0x0F)
        if not 0 < offset <= len(out):
            break
        left = min(count + 4, most_bytes)
        while left > 0:  # what is copied may be longer than what there is to copy from: it then repeats
            piece = out[-offset : len(out) - offset + left]
            out += piece
            left -= len(piece)
    return bytes(out[:most_bytes])


def _length(block: bytes, at: int, first: int) -> tuple[int, int]:
    """Return a length of which `first` are the token's bits, and where the next bytes begin."""
    if first < 15:
        return first, at
    total = first
    while at < len(block):
        total += block[at]
        at += 1
        if block[at - 1] != 255:
            break
    return total, at


def _ends_as_frame(stream: BinaryIO, size_bytes: int) -> bool:
    """Whether the blocks of an LZ4 frame follow each other up to its end mark, without unpacking any."""
    stream.seek(0)
    beginning = stream.read(32)
    at = frame_header_bytes(beginning) or 0
    checksum_bytes = 4 * bool(beginning[4] & 0x10)
    for _ in range(MOST_BLOCKS):
        stream.seek(at)
        word = stream.read(4)
        if len(word) < 4:
            return False
        length = struct.unpack("<I", word)[0] & 0x7FFFFFFF
        if length == 0:
            return at + 4 + 4 * bool(beginning[4] & 0x04) <= size_bytes
        at += 4 + length + checksum_bytes
    return False


def _find_end(stream: BinaryIO, size_bytes: int) -> tuple[int, int]:
    """Return (last byte that is not padding, how many bytes of padding follow) of a file that is not compressed.

    The last byte alone proves nothing: of those that a full disk or a copy cut anywhere, up to one in seven looks like
    a trailer (measured with native frames). memray leaves files of whole blocks, and room behind a trailer.
    """
    end = size_bytes
    while end > 0:
        start = max(0, end - TAIL_BYTES)
        stream.seek(start)
        tail = stream.read(end - start).rstrip(b"\0")
        if tail:
            return tail[-1], size_bytes - start - len(tail)
        end = start
    return 0, size_bytes
