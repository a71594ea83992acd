"""Makes captures for tests: tar files of given members, and one real capture of this very process."""

from __future__ import annotations

import functools
import gzip
import io
import os
import tarfile

from airmem.capture.collector import Collector, Host, Sink
from airmem.capture.reader import CaptureReader, read_capture


def open_capture(path: str) -> CaptureReader:
    """Return the source that the file of a capture is."""
    with open(path, "rb") as file:
        return read_capture(file, path)


def pack(members: dict[str, bytes], kind: bytes = tarfile.REGTYPE, compressed: bool = True) -> bytes:
    """Return a tar file as Python's tarfile makes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = len(content), kind
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), 1, mtime=0) if compressed else buffer.getvalue()


@functools.cache
def capture_of_self() -> bytes:
    """Return a capture of this process and what it has started."""
    blocks: list[bytes] = []
    Collector(Sink(blocks.append)).run(Host(), [os.getpid()])
    return b"".join(blocks)


@functools.cache
def members_of_self() -> dict[str, bytes]:
    """Return the members of that capture as tarfile reads them."""
    with tarfile.open(fileobj=io.BytesIO(capture_of_self())) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive.getmembers()}  # type: ignore[union-attr]
