"""airmem ps on processes started for real: multiprocessing by each start method, and gunicorn where it is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections import Counter

import pytest

PROGRAM = """
import multiprocessing, sys, time
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    workers = [context.Process(target=time.sleep, args=(60,), daemon=True) for _ in range(3)]
    [one.start() for one in workers]
    print("ready", flush=True)
    sys.stdin.read()
"""


def rows_of(*arguments: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "airmem", "ps", *arguments, "--format", "json"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    rows: list[dict[str, object]] = json.loads(done.stdout)["services"]
    return rows


@pytest.fixture(params=["fork", "forkserver", "spawn"])
def program(request, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    command = [sys.executable, str(script), request.param]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield request.param, process.pid
    process.kill()
    process.wait()


def test_each_start_method_is_recognized(program):
    method, pid = program
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        rows = rows_of(str(pid))
        if sum(row["role"] == "worker" for row in rows) == 3:
            break
        time.sleep(0.1)
    assert Counter(row["start_method"] for row in rows if row["role"] == "worker") == {method: 3}
    assert {row["component"] for row in rows} == {"multiprocessing"}
    assert rows[0]["pid"] == pid
    assert rows[0]["role"] == "parent"
    assert 0 <= rows[0]["up_seconds"] < 60
    assert rows[0]["rss_bytes"] > 1 << 20


def test_airmem_itself_is_not_shown():
    done = subprocess.Popen(
        [sys.executable, "-m", "airmem", "ps", "--all", "--format", "json"], stdout=subprocess.PIPE, text=True
    )
    document = json.loads(done.communicate(timeout=60)[0])
    assert done.pid not in {row["pid"] for row in document["services"]}


@pytest.mark.skipif(importlib.util.find_spec("gunicorn") is None, reason="gunicorn is not installed")
def test_gunicorn(tmp_path):
    (tmp_path / "app.py").write_text(
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return []\n"
    )
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"unix:{tmp_path}/socket", "app:app"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(tmp_path)}
    )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            rows = rows_of(str(process.pid))
            if len(rows) == 3 and {row["component"] for row in rows} == {"gunicorn"}:
                break
            time.sleep(0.1)
        assert [row["role"] for row in rows] == ["parent", "worker", "worker"]
    finally:
        process.terminate()
        process.wait(20)
