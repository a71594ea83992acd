"""Whatever bytes a capture is made of: an answer, or an error that names the file; never anything else."""

from __future__ import annotations

import gzip
import io
import os
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from airmem.capture.reader import read_capture
from airmem.errors import AirmemError
from airmem.questions.ps import answer_ps
from airmem.questions.pss import answer_pss
from airmem.render import as_json
from tests.unit.capture.build import capture_of_self, members_of_self, pack

PID = os.getpid()


def ask(raw: bytes) -> None:
    """Read a capture and ask all that there is to ask."""
    with suppress(AirmemError):
        source = read_capture(io.BytesIO(raw), "x.airmem")
        for question in ({}, {"with_mappings": True}, {"depth": "status"}):
            as_json.render(answer_pss(PID, source=source, **question))  # type: ignore[arg-type]
        as_json.render(answer_ps(PID, source=source))


@given(st.binary(max_size=2000))
def test_any_bytes(raw):
    ask(raw)
    ask(gzip.compress(raw))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_real_capture_with_other_bytes(data):
    raw = bytearray(gzip.decompress(capture_of_self()))
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    ask(bytes(raw))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_real_capture_with_another_member(data):
    """The tar file is right, what is in it is not."""
    members = dict(members_of_self())
    own = [name for name in members if name.startswith(("airmem", f"proc/{PID}/", "sys/", "proc/stat"))]
    name = data.draw(st.sampled_from(own))
    content = members[name]
    at = data.draw(st.integers(0, len(content)))
    change = data.draw(st.sampled_from(["cut", "insert", "replace", "drop"]))
    if change == "drop":
        del members[name]
    elif change == "cut":
        members[name] = content[:at]
    else:
        rest = content[at:] if change == "insert" else b""
        members[name] = content[:at] + data.draw(st.binary(max_size=40)) + rest
    ask(pack(members))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 30))
def test_a_real_capture_cut_anywhere(at):
    raw = capture_of_self()
    ask(raw[: at % len(raw)])
