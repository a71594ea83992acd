from __future__ import annotations

import io
import json
import os
import signal

import pytest

from airmem.capture.collector import Collector, Host, Sink
from airmem.capture.facts import FINAL, PLACE
from airmem.capture.frames import Frames
from airmem.capture.reader import CaptureReader, read_capture
from airmem.errors import Malformed
from airmem.kernel.source import Source
from airmem.questions.pss import answer_pss
from tests.unit.capture.build import capture_of_self, members_of_self

PID = os.getpid()


def reader(**changes: bytes | None) -> CaptureReader:
    members = {**members_of_self(), **{name: value for name, value in changes.items() if value is not None}}
    return CaptureReader({name: members[name] for name in members if changes.get(name, b"") is not None}, "x.airmem")


def test_it_answers_for_the_process_that_was_captured():
    source: Source = read_capture(io.BytesIO(capture_of_self()), "x")
    assert source.root_pids == (PID,)
    assert not source.is_live
    assert source.has_tree(PID)
    assert not source.has_tree(1)
    assert source.own_user_id() == os.geteuid()
    assert int(source.link("/proc/self")) == PID
    assert source.read(f"/proc/{PID}/stat") == source.read("/proc/self/stat")
    assert source.gaps == ()
    with source.process(PID) as files:
        assert files.owner_uid() == os.geteuid()
        assert files.read("status", 4) == b"Name"
        assert files.read("smaps").count(b"Rss:") > 10


def test_what_was_not_captured_is_not_there():
    source = reader()
    with pytest.raises(FileNotFoundError):
        source.read("/proc/uptime")
    with pytest.raises(FileNotFoundError):
        source.process(1 << 22)
    with source.process(PID) as files, pytest.raises(OSError, match="not in this capture"):
        files.read("pagemap")


def test_a_refusal_is_repeated():
    path = f"airmem/{PID}.json"
    facts = json.loads(members_of_self()[path])
    facts["errors"] = {"smaps_rollup": 13}
    with reader(**{path: json.dumps(facts).encode()}).process(PID) as files, pytest.raises(PermissionError) as caught:
        files.read("smaps_rollup")
    assert caught.value.filename == f"/proc/{PID}/smaps_rollup"


def test_without_smaps_mappings_are_a_gap():
    report = answer_pss(PID, with_mappings=True, source=reader(**{f"proc/{PID}/smaps": None}))
    assert report.processes[0].account.pss_bytes
    assert "not_captured" in [gap.reason for gap in report.gaps if gap.fact == "mappings"]


def test_a_cut_capture_is_marked():
    source = reader(**{FINAL: None})
    assert [gap.reason for gap in source.gaps] == ["capture_incomplete"]
    report = answer_pss(PID, "rollup", source=source)
    assert report.tree.is_lower_bound
    with pytest.raises(Malformed, match="cut short before the first process"):
        reader(**{FINAL: None, f"airmem/{PID}.json": None})
    with pytest.raises(Malformed, match="cut before the first process"):
        reader(**{FINAL: None, PLACE: None})


@pytest.mark.parametrize("name", [PLACE, FINAL, f"airmem/{PID}.json"])
@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, b'{"format": 3}', b"1" * 5000])
def test_wrong_facts_are_named(name, raw):
    with pytest.raises(Malformed, match=r"x\.airmem: "):
        reader(**{name: raw})


@pytest.mark.parametrize(
    ("key", "value"),
    [("root_pids", "1"), ("root_pids", [-1]), ("errors", {"x": "y"}), ("links", {"x": 1}), ("own_pid", None),
     ("taken_at_seconds", "now"), ("zero_frames", [[1]]), ("zero_frames", [[5, 1], [4, 1]]), ("format_version", 2)],
)  # fmt: skip
def test_a_wrong_value_is_named(key, value):
    facts = {**json.loads(members_of_self()[PLACE]), key: value}
    with pytest.raises(Malformed, match=r"x\.airmem: "):
        reader(**{PLACE: json.dumps(facts).encode()})


def test_what_the_kernel_counts_can_be_asked_of_the_capture():
    """Which of the kernel's own pages RSS counts is probed on the process that reads, so its smaps is in the file."""
    blocks: list[bytes] = []
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        Collector(Sink(blocks.append), Frames()).run(Host(), [child])
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    source = read_capture(io.BytesIO(b"".join(blocks)), "x")
    assert b"Rss:" in source.read("/proc/self/smaps")
