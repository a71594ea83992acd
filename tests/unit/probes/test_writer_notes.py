"""What is noted of writers, in folders as a trace leaves them."""

from __future__ import annotations

import os

import pytest

from airmem.model.allocation import WriterFacts
from airmem.probes import traces
from airmem.probes.payloads.run_traced import note_end
from airmem.probes.writer_notes import collect_writers, growth_bytes


@pytest.fixture
def folder(tmp_path):
    made = traces.make_folder(str(tmp_path / "place"), "x", shared=False)
    traces.make_notes(made)
    return made


def test_what_a_process_notes_comes_back(folder):
    traces.write_document(folder, traces.DOCUMENT, {"ended_at_seconds": 9.0, "cramped_pids": [7, "x"]})
    notes = os.path.join(folder, traces.WRITERS)
    size_bytes = os.path.getsize(notes)
    note_end(notes, "gave_up")
    note_end(notes, "nonsense")
    assert os.path.getsize(notes) == size_bytes  # its room was there before the disk was full
    own = f"{folder}/x-host-{os.getpid()}-20260101T000000.bin"
    cramped = f"{folder}/x-host-1-20260101T000000.bin.7"
    other = f"{folder}/x-host-8-20260101T000000.bin"
    assert collect_writers([own, cramped, other, "/elsewhere/y.bin"]) == {
        own: WriterFacts(was_recording=False, could_grow=True),
        cramped: WriterFacts(was_recording=None, could_grow=False),
        other: WriterFacts(was_recording=None, could_grow=True),
    }


def test_while_it_runs_nothing_is_known(folder):
    traces.write_document(folder, traces.DOCUMENT, {"ended_at_seconds": None})
    path = f"{folder}/x-host-8-20260101T000000.bin"
    assert collect_writers([path]) == {path: WriterFacts()}


def test_notes_of_somebody_else_or_none_are_no_error(folder, tmp_path):
    note_end(str(tmp_path / "missing"), "gave_up")
    (tmp_path / "place" / "link").symlink_to(tmp_path / "victim")
    note_end(str(tmp_path / "place" / "link"), "gave_up")
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("size_bytes", [0, 4096, 40960, 1 << 24])
def test_a_step_of_growth_is_a_tenth_in_whole_pages(size_bytes):
    grown = size_bytes + growth_bytes(size_bytes)
    assert grown % 4096 == 0
    assert size_bytes * 1.1 < grown <= size_bytes * 1.1 + 4096
