"""airmem gives files of its own to an interpreter to run. What is none must not get them: it might write into them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.conftest import Start, run_airmem

ROOT = Path(__file__).parents[2]


def times() -> dict[Path, int]:
    """Return when each of airmem's files was last written to."""
    return {path: os.stat(path).st_mtime_ns for path in (ROOT / "airmem").rglob("*.py")}


@pytest.mark.parametrize(
    "words",
    [
        ("imports", "json", "--python"),
        ("analyze", "a.bin", "--python"),
        ("cow", "--verify-freeze", "--preload", "json", "--python"),
    ],
    ids=lambda words: words[0],
)
def test_a_program_that_touches_its_arguments_gets_none(words, tmp_path: Path):
    pytest.importorskip("memray")
    subprocess.run([sys.executable, "-m", "memray", "run", "-q", "-o", str(tmp_path / "a.bin"), "-c", "0"], check=True)
    before = times()
    done = run_airmem(*words, shutil.which("touch"), cwd=tmp_path)
    assert done.returncode in (2, 5)
    assert times() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_python_of_another_name_is_taken(tmp_path: Path):
    other = tmp_path / "interpreter"
    other.write_text(f'#!/bin/sh\nexec {shutil.which("python3")} "$@"\n')
    other.chmod(0o755)
    done = run_airmem("imports", "json", "--python", other)
    assert done.returncode == 0, done.stderr


def test_the_program_of_a_target_is_not_run(start: Start, tmp_path: Path):
    target = start(command=["bash", "-c", 'echo READY "{\\"pid\\": $$}"; while :; do :; done'])
    done = run_airmem("trace", "--attach", target.pid, "--yes", "-o", tmp_path)
    assert done.returncode == 5
    assert "its program is no Python interpreter" in done.stderr
