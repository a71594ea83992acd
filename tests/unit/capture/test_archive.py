from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from airmem.capture import archive
from airmem.capture.archive import read_archive
from airmem.capture.collector import Sink
from airmem.errors import Malformed
from tests.unit.capture.build import capture_of_self, members_of_self, pack

LONG = "sys/fs/cgroup/" + "/".join(["kubepods-burstable-pod0123456789"] * 9) + "/memory.max"


def read(raw: bytes) -> dict[str, bytes]:
    return read_archive(io.BytesIO(raw), "x.airmem")


def test_what_tarfile_writes_is_read():
    members = {"a": b"1", "b/c": b"2" * 5000, LONG: b"max\n", "empty": b""}
    assert read(pack(members)) == members
    assert read(pack(members, compressed=False)) == members


def test_what_the_collector_writes_is_what_tarfile_reads():
    blocks: list[bytes] = []
    sink = Sink(blocks.append)
    members = {"a": b"1", LONG: b"max\n", "empty": b""}
    for name, content in members.items():
        sink.add(name, content)
    sink.add_facts("airmem.json")
    raw = b"".join(blocks)
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert tar.getnames() == [*members, "airmem.json"]
    assert read(raw) == {**members, "airmem.json": b"{}"}
    assert read(capture_of_self()) == members_of_self()


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../b", "a//b", "a/./b", ""])
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(Malformed, match=r"x\.airmem: "):
        read(pack({name or "a/": b"x"}))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind):
    with pytest.raises(Malformed, match="links and devices"):
        read(pack({"a": b""}, kind))


def test_a_member_that_comes_twice_is_refused():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("a"))
    with pytest.raises(Malformed, match="twice"):
        read(buffer.getvalue())


def test_bombs_are_refused(monkeypatch):
    monkeypatch.setattr(archive, "MOST_BYTES", 1 << 20)
    with pytest.raises(Malformed, match="more than 1 MiB when unpacked"):
        read(pack({"zeros": bytes(4 << 20)}))
    monkeypatch.setattr(archive, "MOST_MEMBER_BYTES", 1 << 20)
    with pytest.raises(Malformed, match="more than 1 MiB"):
        read(pack({"zeros": bytes(2 << 20)}))
    monkeypatch.setattr(archive, "MOST_MEMBERS", 3)
    with pytest.raises(Malformed, match="more than 3 members"):
        read(pack({str(number): b"" for number in range(4)}))


def test_a_header_that_states_a_giant_size_is_refused():
    with pytest.raises(Malformed, match="more than"):
        read(gzip.compress(_header_with_size(1 << 32)))


def _header_with_size(size: int) -> bytes:
    member = tarfile.TarInfo("a")
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize(
    "raw", [b"x" * 600, b"\x1f\x8b\x08" + b"x" * 600, b"PK\x03\x04" + bytes(600), b"\x7fELF" * 200]
)
def test_other_files_are_named(raw):
    with pytest.raises(Malformed, match=r"x\.airmem: "):
        read(raw)


@pytest.mark.parametrize("raw", [b"", b"\x1f\x8b", bytes(1024)])
def test_nothing_is_no_member(raw):
    assert read(raw) == {}


def test_a_cut_file_has_what_is_whole():
    raw = capture_of_self()
    whole = members_of_self()
    for end in range(0, len(raw), max(1, len(raw) // 97)):
        found = read(raw[:end])
        assert list(found) == list(whole)[: len(found)]
        assert all(whole[name] == content for name, content in found.items())
