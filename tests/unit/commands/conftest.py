"""The real command line in a process of its own, and a target that holds still."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Target = subprocess.Popen[bytes]
Run = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = (sys.executable, "-m", "airmem")
HOLD = "import sys; print(flush=True); sys.stdin.read()"


@pytest.fixture
def run() -> Run:
    """Run airmem; whatever happens, no traceback reaches anybody."""

    def call(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **more.pop("variables", {})}
        line = [*COMMAND, *map(str, arguments)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60, **more}
        done = subprocess.run(line, check=False, text=True, errors="surrogateescape", env=environment, **options)
        assert "Traceback" not in (done.stderr or "") + (done.stdout or "")
        assert "fault of airmem" not in (done.stderr or "")
        return done

    return call


@pytest.fixture
def launch() -> Iterator[Callable[..., Target]]:
    """Start a Python that waits, with any arguments, and end it after the test."""
    started: list[Target] = []

    def start(*arguments: str | bytes, program: str = HOLD) -> Target:
        line = [sys.executable, "-c", program, *arguments]
        started.append(subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert started[-1].stdout is not None
        started[-1].stdout.readline()
        return started[-1]

    yield start
    for target in started:
        target.kill()
        target.communicate()
