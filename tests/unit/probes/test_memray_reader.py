"""The reader of captures runs in the traced program's own Python, which may be 3.8."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from airmem.probes import memray_reader

pytest.importorskip("memray")
NEWER = "import os, runpy, sys; del os.waitstatus_to_exitcode; runpy.run_path(sys.argv[1], run_name='__main__')"
"""Takes away what `os` has since Python 3.9."""


def test_it_has_the_syntax_of_python_3_8():
    ast.parse(Path(memray_reader.__file__).read_text(encoding="utf-8"), feature_version=(3, 8))


def test_every_view_is_read_without_what_newer_pythons_have(tmp_path):
    capture = tmp_path / "a.bin"
    command = [sys.executable, "-m", "memray", "run", "-q", "-o", str(capture), "-c", "kept = bytearray(1 << 22)"]
    subprocess.run(command, check=True, timeout=120)
    views = ["peak", "leaked", "churn"]
    request = {"paths": [str(capture)], "views": views, "application": [], "point_count": 5}
    done = subprocess.run(
        [sys.executable, "-c", NEWER, memray_reader.__file__],
        input=json.dumps(request), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [value["view"] for word, value in told if word == "view"] == views
    assert [value for word, value in told if word == "problem"] == []
