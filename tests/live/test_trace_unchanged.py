"""A program that is recorded does what it does by itself: the same output, the same errors, the same status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import run_airmem

THREAD = """
import pickle, threading
class Kept: pass
def work():
    threading.main_thread().join()
    kept.extend(bytearray(1 << 20) for _ in range(20))
    print(len(pickle.dumps([Kept()])) > 0, flush=True)
kept = []
threading.Thread(target=work).start()
"""
EXIT = """
import atexit
kept = []
atexit.register(lambda: kept.extend(bytearray(1 << 20) for _ in range(20)))
"""
FAILS = "import json\ndef read(text): return json.loads(text)\nread('{')\n"
TRACE = ("trace", "--yes", "--no-analyze", "-o", "traces", "--")


def run(*words: str, folder: Path) -> Any:
    """Run Python to its end; the program's own traceback may be among what it prints."""
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=folder, timeout=120, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Programs of every form."""
    for name, text in {"thread": THREAD, "exit": EXIT, "fails": FAILS, "wrong": "this is no Python\n"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text("import sys\nprint(__name__, __file__, sys.argv, sys.path[0])\n")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("thread.py",),
        ("fails.py",),
        ("wrong.py",),
        ("package", "one"),
        ("-m", "package", "one"),
        ("-m", "fails"),
        ("-m", "missing_module"),
        ("-m", "json"),
        ("-c", "def f(a: int): pass\nprint(f.__annotations__, __name__)"),
        ("-c", "import sys; print(sys.argv)", "one"),
        ("-c", "import sys; sys.exit('a last word')"),
    ],
    ids=" ".join,
)
def test_output_errors_and_status_are_the_programs_own(words, folder: Path):
    alone = run(*words, folder=folder)
    done = run("-m", "airmem", *TRACE, sys.executable, *words, folder=folder)
    assert (done.stdout, done.returncode) == (alone.stdout, alone.returncode)
    assert alone.stderr in done.stderr
    assert "run_traced" not in done.stderr


@pytest.mark.parametrize("script", ["thread.py", "exit.py"])
def test_what_goes_on_after_the_last_line_is_recorded(script, folder: Path):
    done = run("-m", "airmem", *TRACE, sys.executable, script, folder=folder)
    assert done.returncode == 0, done.stderr
    (capture,) = (folder / "traces").glob("*/*.bin")
    answer: dict[str, Any] = json.loads(run_airmem("analyze", capture, "--format", "json").stdout)
    assert answer["files"][0]["verdict"] == "complete"
    assert answer["leaked_bytes"] >= 20 << 20
    assert not any("run_traced" in row["file"] for row in answer["by_application_frame"])
    assert {row["kind"] for row in answer["by_distribution"]} <= {"own", "stdlib"}
    assert [row["distribution"] for row in answer["by_distribution"] if row["kind"] == "own"] == [str(folder)]
