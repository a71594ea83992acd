"""The bytes of captures: headers, LZ4 frames and their ends."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airmem.probes.memray_file import (
    HEADER,
    TAIL_BYTES,
    inspect_capture,
    parse_header,
    unpack_beginning,
    unpack_block,
)


def header(*, version=13, count=7, start=1_000, end=2_500, aggregated=0, words=b"/opt/bin/airflow scheduler", pid=42):
    return (
        HEADER.pack(b"memray\0", version, 0x030C01F0, 0, aggregated, count, 0, start, end)
        + words
        + b"\0"
        + struct.pack("<i", pid)
    )


def frame(content, *, end=True, checksum=False):
    flags = 0x44 if checksum else 0x40
    block = struct.pack("<I", len(content) | 1 << 31) + content
    return (
        b"\x04\x22\x4d\x18"
        + bytes([flags, 0x40, 0])
        + block
        + (bytes(4) if end else b"")
        + (b"sum!" if checksum and end else b"")
    )


def test_a_header_tells_versions_times_and_process():
    found = parse_header(header())
    assert (found.format_id, found.python_version, found.pid) == (13, "3.12", 42)
    assert (found.started_at_seconds, found.ended_at_seconds) == (1.0, 2.5)
    assert found.command_line == "/opt/bin/airflow scheduler"
    assert not found.is_aggregated


@pytest.mark.parametrize("content", [b"", b"memray", header()[: HEADER.size - 1], b"memrax\0" + header()[7:]])
def test_what_is_no_header_is_none(content):
    assert parse_header(content) is None


def test_a_block_with_matches_is_unpacked():
    # 4 literals "abcd", then a match of 8 bytes at offset 4, then 5 literals.
    assert unpack_block(b"\x44abcd\x04\x00" + b"\x50hello", 100) == b"abcdabcdabcdhello"
    # An offset of 1 repeats one byte; lengths from 15 go on in further bytes.
    assert unpack_block(b"\x1fx\x01\x00\x05" + b"\x10y", 100) == b"x" * 25 + b"y"


def test_a_match_before_the_beginning_ends_the_block():
    assert unpack_block(b"\x14a\x09\x00\x10b", 100) == b"a"


@pytest.mark.parametrize(
    ("content", "is_whole"),
    [
        (frame(header()), True),
        (frame(header(), checksum=True), True),
        (frame(header(), end=False), False),
        (frame(header(), checksum=True)[:-1], False),
        (frame(header())[:-1], False),
    ],
)
def test_a_frame_is_whole_only_with_its_end(tmp_path, content, is_whole):
    (tmp_path / "capture").write_bytes(content)
    state = inspect_capture(str(tmp_path / "capture"))
    assert state.header is not None
    assert state.is_whole is is_whole
    assert state.has_trailer is None


@pytest.mark.parametrize(
    ("tail", "has_trailer"), [(b"\x71\x01", True), (b"\x01" + bytes(5000), True), (b"\x02", False)]
)
def test_the_trailer_is_looked_for_before_the_padding(tmp_path, tail, has_trailer):
    whole = header() + b"records" + tail
    whole += bytes(-len(whole) % 4096)
    (tmp_path / "capture").write_bytes(whole)
    state = inspect_capture(str(tmp_path / "capture"))
    assert state.has_trailer is has_trailer
    assert state.padding_bytes == len(whole) - len(whole.rstrip(b"\0"))
    (tmp_path / "capture").write_bytes(whole.rstrip(b"\0"))
    assert inspect_capture(str(tmp_path / "capture")).has_trailer is False


def test_the_end_is_found_before_padding_of_any_size(tmp_path):
    whole = (header() + b"\x01").ljust(3 * TAIL_BYTES, b"\0")
    (tmp_path / "capture").write_bytes(whole)
    state = inspect_capture(str(tmp_path / "capture"))
    assert state.has_trailer is True
    assert state.padding_bytes == 3 * TAIL_BYTES - len(header()) - 1


@given(st.binary(max_size=300))
def test_any_bytes_are_unpacked_or_not_and_nothing_else(content):
    assert len(unpack_block(content, 64)) <= 64
    assert len(unpack_beginning(b"\x04\x22\x4d\x18" + content, 64)) <= 64
    parse_header(b"memray\0" + content)
