"""Bundles as archives: what is written is what is read, by airmem and by everybody's tar."""

from __future__ import annotations

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from airmem.capture.archive import read_archive
from airmem.capture.hang_bundle import pack_record, read_record
from airmem.capture.pack import pack_archive
from airmem.kernel.record import HangRecord

NAMES = st.lists(st.text("abc-. é", min_size=1, max_size=60).filter(lambda one: one.strip(".")), min_size=1, max_size=4)
MEMBERS = st.dictionaries(NAMES.map("/".join), st.binary(max_size=1500), max_size=5)


@given(MEMBERS)
def test_what_is_written_is_what_is_read(members):
    packed = pack_archive(members, 1e9)
    assert read_archive(io.BytesIO(packed), "b") == members
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert {one.name: tar.extractfile(one).read() for one in tar} == members
        assert {one.mode for one in tar} <= {0o600}


KEPT = st.one_of(
    st.binary(max_size=20), st.text(max_size=9), st.integers(-200, 1 << 40), st.lists(st.text(max_size=4)).map(tuple)
)


@given(
    layers=st.dictionaries(st.sampled_from(["look 0", "facts"]), st.dictionaries(st.sampled_from(
        ["proc/1/stat", "proc/1/exe link", "proc/1/fd names", "proc/1/ owner", "proc/1/ unix", "own_user_id"]), KEPT)),
    memory=st.dictionaries(st.tuples(st.integers(1, 9), st.integers(0, 1 << 63), st.integers(1, 64)), st.binary(max_size=64)),
    sources=st.dictionaries(st.tuples(st.integers(1, 9), st.text(max_size=5)), st.none() | st.text(max_size=9)),
)  # fmt: skip
def test_a_record_survives(layers, memory, sources):
    record = HangRecord(layers=layers, memory=memory, sources=sources, found={(1, b"12345678"): (8, 16)})
    record.told["clocks"] = [1.5, 2.5]
    record.dumps["1 first"] = b"[]"
    again = read_record(pack_record(record), "b")
    assert (again.memory, again.found, again.told, again.dumps) == (
        record.memory,
        record.found,
        record.told,
        record.dumps,
    )
    assert {name: dict(kept) for name, kept in again.layers.items()} == layers
    assert again.sources == sources
