"""Contents of memory in a capture: every kept page is the process's own, and only who asked for them gets them."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airmem.capture.reader import CaptureReader
from airmem.errors import Malformed
from airmem.kernel.maps import parse_maps
from airmem.kernel.reader import KernelReader
from airmem.units import PAGE_BYTES
from tests.live.conftest import Start, ask, by_pid, run_airmem
from tests.live.tree import Target
from tests.unit.capture.build import open_capture

DEMO = (sys.executable, "-m", "airmem", "demo", "--workers", "2", "--megabytes", "5", "--mode")
PRESENT = np.uint64(1 << 63)


def capture(target: Target, path: Path, **more: Any) -> CaptureReader:
    done = run_airmem("capture", target.pid, "--contents", "-o", path, **more)
    assert done.returncode == 0, done.stderr
    assert "passwords" in done.stderr
    return open_capture(str(path))


def present_pages(pid: int) -> list[int]:
    """The present pages of private mappings, straight from /proc."""
    with KernelReader().process(pid) as files:
        pages = []
        for one in parse_maps(files.read("maps")):
            first, count = one.start_address // PAGE_BYTES, (one.end_address - one.start_address) // PAGE_BYTES
            if one.permissions.endswith("p") and one.start_address < 1 << 47 and one.name not in ("[vdso]", "[vvar]"):
                words = np.zeros(count, np.uint64)
                files.read_words("pagemap", ((first, count),), memoryview(words.view(np.uint8)))
                pages += (first + np.flatnonzero(words & PRESENT)).tolist()
        return pages


def compare(reader: CaptureReader, pid: int) -> int:
    """Hold each page of a process against the kernel's; return how many the capture has."""
    pages = present_pages(pid)
    with reader.process(pid) as files, open(f"/proc/{pid}/mem", "rb", buffering=0) as live:
        memory = files.memory()
        kept = bytearray(PAGE_BYTES * len(pages))
        unread = memory.fill([(page, 1) for page in pages], memoryview(kept))
        assert unread is not None
        for at, page in enumerate(pages):
            if page not in set(unread):
                assert kept[at * PAGE_BYTES : (at + 1) * PAGE_BYTES] == os.pread(
                    live.fileno(), PAGE_BYTES, page * PAGE_BYTES
                )
        assert memory.read(pages[-1] * PAGE_BYTES + 24, 8) == os.pread(live.fileno(), 8, pages[-1] * PAGE_BYTES + 24)
        assert memory.read(0, 8) == b""
    return len(pages) - len(unread)


@pytest.mark.parametrize("mode", ["gc", "data"])
def test_every_page_is_the_processs_own(start: Start, tmp_path: Path, mode: str) -> None:
    target = start(command=[*DEMO, mode]).freeze()
    path = tmp_path / "x.airmem"
    reader = capture(target, path)
    assert path.stat().st_mode & 0o777 == 0o600
    for pid in target.tree:
        assert compare(reader, pid) >= 0.99 * len(present_pages(pid))  # the kernel's zero page is nobody's
    assert by_pid(ask("pss", "--from", path)).keys() == target.tree.keys()


def test_pages_are_kept_once(start: Start, page_frames: None, tmp_path: Path) -> None:
    target = start(command=[*DEMO, "none"]).freeze()
    path = tmp_path / "x.airmem"
    reader = capture(target, path)
    kept = sum(len(reader.read(f"/airmem/contents/{name}")) for name in reader.entries("/airmem/contents"))
    distinct = ask("pss", target.pid, "--depth", "pages")["tree"]["distinct_bytes"]
    assert kept <= distinct


def test_where_frames_are_hidden(start: Start, superuser: None, tmp_path: Path) -> None:
    """Root without any capability reads its own processes, and sees no page frames."""
    bare = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    target = start(command=[*bare, *DEMO, "gc"]).freeze()
    path = tmp_path / "x.airmem"
    reader = capture(target, path, command=[*bare, sys.executable, "-m", "airmem"])
    assert reader.frames_obstacle() is not None
    for pid in target.tree:
        assert compare(reader, pid) > 0.9 * len(present_pages(pid))
    kept = sum(len(reader.read(f"/airmem/contents/{name}")) for name in reader.entries("/airmem/contents"))
    rss = sum(row["rss_bytes"] for row in by_pid(ask("pss", target.pid, "--depth", "status")).values())
    assert kept < 0.7 * rss


def test_without_them_there_are_none(start: Start, tmp_path: Path) -> None:
    target = start(command=[*DEMO, "none"]).freeze()
    path = tmp_path / "x.airmem"
    assert run_airmem("capture", target.pid, "-o", path).returncode == 0
    with (
        open_capture(str(path)).process(target.pid) as files,
        pytest.raises(OSError, match="not in this capture") as caught,
    ):
        files.memory()
    assert caught.value.errno == errno.ENODATA


@pytest.mark.parametrize(
    "options",
    [("--contents",), ("--contents", "-o", "x", "--no-pages"), ("--contents", "--print-collector", "-o", "x")],
    ids=str,
)
def test_wrong_uses(options: tuple[str, ...], tmp_path: Path) -> None:
    done = run_airmem("capture", os.getpid(), *options, cwd=tmp_path)
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_a_refused_process_is_an_error(start: Start, superuser: None, tmp_path: Path) -> None:
    """Root without capabilities may not look at a process that has some."""
    target = start(command=[*DEMO, "none"])
    bare = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", sys.executable, "-m", "airmem"]
    done = run_airmem("capture", target.pid, "--contents", "-o", tmp_path / "x", command=bare)
    assert done.returncode == 4, done.stderr
    assert not (tmp_path / "x").exists()


def test_damage_is_told(start: Start, tmp_path: Path) -> None:
    target = start(command=[*DEMO, "none"]).freeze()
    reader = capture(target, tmp_path / "x.airmem")
    members = dict(reader._members)
    index = f"airmem/{target.pid}.pages"
    for damage in (
        {index: members[index][:-8]},
        {index: members[index][:-8] + (1 << 40).to_bytes(8, sys.byteorder)},
        {"airmem/contents/0": members["airmem/contents/0"][:-1]},
        {"airmem/contents/999999": bytes(PAGE_BYTES)},
    ):
        with CaptureReader({**members, **damage}, "x").process(target.pid) as files, pytest.raises(Malformed):
            files.memory()


def test_without_flags_of_frames_nobody_claims_to_know_who_wrote(
    start: Start, page_frames: None, tmp_path: Path
) -> None:
    target = start(command=[*DEMO, "gc"]).freeze()
    assert run_airmem("capture", target.pid, "-o", tmp_path / "bare.airmem").returncode == 0
    live, kept = ask("cow", target.pid), ask("cow", "--from", tmp_path / "bare.airmem")
    for row, bare in zip(live["workers"], kept["workers"], strict=True):
        assert row["both_wrote_bytes"] is not None
        assert (bare["certainty"], bare["both_wrote_bytes"]) == ("inferred", None)
        assert bare["copied_bytes"] == pytest.approx(row["copied_bytes"], rel=0.05, abs=1 << 20)


def test_a_capture_without_page_tables_names_what_to_capture(start: Start, tmp_path: Path) -> None:
    target = start(command=[*DEMO, "none"])
    assert run_airmem("capture", target.pid, "--no-pages", "-o", tmp_path / "none.airmem").returncode == 0
    done = run_airmem("cow", "--from", tmp_path / "none.airmem")
    assert done.returncode == 5
    assert "airmem capture TARGET --contents" in done.stderr
