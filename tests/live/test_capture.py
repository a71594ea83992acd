"""Captures of real trees: what is asked of the file is answered as the kernel answered, and no secret is in it."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airmem.capture.bundle import read_collector
from airmem.capture.reader import CaptureReader, read_capture
from airmem.kernel.reader import KernelReader
from airmem.questions.capture import answer_capture
from airmem.questions.ps import answer_ps
from airmem.questions.pss import answer_pss
from airmem.render import as_csv, as_json, as_text
from airmem.views.ps import view_ps
from airmem.views.pss import view_pss, view_table
from tests.live.conftest import Start, ask, by_pid, run_airmem
from tests.unit.capture.build import open_capture

SECRETS = ("hunter2-argv", "hunter2-environ", "hunter2-flag", "hunter2-url")
DEMO = (sys.executable, "-m", "airmem", "demo", "--megabytes")


class FixedClock(KernelReader):
    """The running system, at the time that a capture says.

    The control group's counters are the capture's, too: the tree is frozen, and whoever else is in the group is not.
    """

    def __init__(self, capture: CaptureReader) -> None:
        super().__init__()
        self._capture = capture

    def read(self, path: str) -> bytes:
        return self._capture.read(path) if path.startswith("/sys/fs/cgroup") else super().read(path)

    @property
    def taken_at_seconds(self) -> float | None:
        return self._capture.taken_at_seconds

    @property
    def took_seconds(self) -> float | None:
        return self._capture.took_seconds


def capture(pid: int, path: Path, **more: Any) -> CaptureReader:
    with path.open("wb") as file:
        answer_capture(pid, file.write, **more)
    return open_capture(str(path))


def looks(pid: int, source: Any, **more: Any) -> list[str]:
    """Return what `airmem pss` says in every format."""
    report = answer_pss(pid, source=source, **more)
    text = as_text.render(view_pss(report, True, None, None), None, False)
    return [as_json.render(report), text, as_csv.render(view_table(report))]


@pytest.mark.parametrize(
    "question",
    [{}, {"depth": "status"}, {"depth": "rollup"}, {"depth": "mappings"}, {"with_mappings": True}, {"with_exclusive": True}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("variant", ["disjoint", "overlapping"])
def test_the_answer_is_the_live_one(
    start: Start, private_python: list[str], tmp_path: Path, variant: str, question: Any
) -> None:
    """Byte for byte, in every format, when the tree is frozen and the clock is the capture's.

    Three captures are allowed: everybody maps the kernel's [vdso], so that whoever starts between the two looks can
    change a rounded PSS by 1 KiB.
    """
    target = start("ground_truth", variant, python=private_python).order("warm").freeze()
    for number in range(3):
        source = capture(target.pid, tmp_path / f"{number}.airmem")
        kept, live = looks(target.pid, source, **question), looks(target.pid, FixedClock(source), **question)
        if kept == live:
            break
    assert kept == live


def test_ps_is_the_live_one(start: Start, tmp_path: Path) -> None:
    target = start(command=[*DEMO, "5"]).freeze()
    source = capture(target.pid, tmp_path / "x.airmem")
    reports = [answer_ps(target.pid, source=one) for one in (source, FixedClock(source))]
    assert as_json.render(reports[0]) == as_json.render(reports[1])
    documents = [as_text.render(view_ps(report), None, False) for report in reports]
    assert documents[0] == documents[1]


def test_the_command_line_asks_a_file(start: Start, tmp_path: Path) -> None:
    target = start(command=[*DEMO, "5", "--workers", "2"]).freeze()
    path = tmp_path / "x.airmem"
    done = run_airmem("capture", target.pid, "-o", path)
    assert done.returncode == 0, done.stderr
    assert "3 processes" in done.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    live, asked = ask("pss", target.pid), ask("pss", "--from", path)
    assert asked["tree"]["root_pid"] == target.pid
    assert {pid: row["rss_bytes"] for pid, row in by_pid(asked).items()} == {
        pid: row["rss_bytes"] for pid, row in by_pid(live).items()
    }
    assert len(ask("ps", "--from", path)["services"]) == 3
    assert run_airmem("pss", 1, "--from", path).returncode == 3
    assert run_airmem("pss", "--from", path, "--every", 1).returncode == 2
    again = run_airmem("capture", target.pid, "-o", path)
    assert (again.returncode, "exists" in again.stderr) == (2, True)


def test_no_secret_is_in_the_file(start: Start, tmp_path: Path) -> None:
    program = "import os, time; print('READY {\"pid\": %d}' % os.getpid(), flush=True); time.sleep(60)"
    line = [sys.executable, "-c", program, "--password", SECRETS[0], f"--api-key={SECRETS[2]}",
            f"postgresql://airflow:{SECRETS[3]}@db/airflow"]  # fmt: skip
    target = start(command=line, env={**os.environ, "AIRFLOW__CORE__FERNET_KEY": SECRETS[1]})
    capture(target.pid, tmp_path / "x.airmem")
    raw = gzip.decompress((tmp_path / "x.airmem").read_bytes())
    assert b"[redacted]" in raw
    assert [secret for secret in SECRETS if secret.encode() in raw] == []


def without_outsiders(gap: Any) -> Any:
    """Return a gap without a remedy, and without how many others are in the control group: they come and go."""
    detail = "" if gap["reason"] == "bound_precondition" else gap["detail"]
    return {**gap, "remedy": "", "detail": detail}


def test_a_refused_process_is_refused_again(
    start: Start, superuser: None, private_airmem: list[str], tmp_path: Path
) -> None:
    """The collector as another user: the reason and the bound are those that airmem finds there, live."""
    target = start("undumpable", 1000, 50000).freeze()
    for part in (tmp_path, *tmp_path.parents[:2]):
        part.chmod(0o755)
    raw = collect(target.pid, uid=50000)
    path = tmp_path / "x.airmem"
    path.write_bytes(raw)
    rows = by_pid(ask("pss", "--from", path))
    hidden = target.truth["hidden"]
    assert rows[hidden]["depth"] == "status"
    assert rows[hidden]["pss_bytes"] is None
    assert rows[target.truth["child"]]["pss_bytes"] > 0
    gaps = ask("pss", "--from", path, "--depth", "rollup")["gaps"]
    assert [gap["reason"] for gap in gaps if gap["pid"] == hidden] == ["not_dumpable"]
    other = ["setpriv", "--reuid", "50000", "--regid", "50000", "--clear-groups", *private_airmem]
    live = ask("pss", target.pid, "--depth", "rollup", command=other, cwd="/")["gaps"]
    assert list(map(without_outsiders, gaps)) == list(map(without_outsiders, live))
    remedy = next(gap["remedy"] for gap in gaps if gap["pid"] == hidden)
    assert f"airmem capture {target.pid} -o FILE" in remedy, "what a capture lacks takes another capture, not this pid"


def collect(pid: int, uid: int | None = None, python: str = "/usr/bin/python3", prefix: tuple[str, ...] = ()) -> bytes:
    """Run the bare collector, from standard input."""
    command = [*prefix, python, "-", str(pid)]
    if uid is not None:
        command = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", *command]
    done = subprocess.run(command, input=read_collector().encode(), capture_output=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr
    return done.stdout


def test_the_collector_needs_no_place_to_write(start: Start, superuser: None) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (util-linux), for a read-only root")
    target = start(command=[*DEMO, "5"])
    script = 'mount -o remount,ro,bind / && ! touch /tmp/written 2>/dev/null; exec "$@"'
    mount = ("unshare", "-m", "sh", "-c", f"mount --bind / / && cd / && {script}", "sh")
    raw = collect(target.pid, prefix=mount)
    source = read_capture(io.BytesIO(raw), "x")
    assert source.root_pids == (target.pid,)
    assert source.took_seconds is not None


def interpreters() -> list[str]:
    found = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))
    return [sys.executable, *map(str, found)]


@pytest.mark.parametrize("python", interpreters())
def test_the_collector_runs_under_every_python_here(start: Start, tmp_path: Path, python: str) -> None:
    target = start(command=[*DEMO, "5", "--workers", "2"]).freeze()
    raw = collect(target.pid, python=python)
    path = tmp_path / "x.airmem"
    path.write_bytes(raw)
    asked = ask("pss", "--from", path)
    live = ask("pss", target.pid, "--depth", "rollup")
    assert [row["rss_bytes"] for row in asked["processes"]] == [row["rss_bytes"] for row in live["processes"]]
    assert {gap["reason"] for gap in asked["gaps"]} <= {"not_captured", "no_page_frames"}


def test_the_collector_explains_itself(start: Start) -> None:
    script = read_collector().encode()
    for arguments, status in ((), 2), (("1", "2"), 2), (("--pages", "1"), 2), (("no-such-service",), 3), (("0",), 3):
        line = [sys.executable, "-", *arguments]
        done = subprocess.run(line, input=script, capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (status, b"")
        assert done.stderr
        assert b"Traceback" not in done.stderr


def test_the_plain_page_tables_say_the_same_as_numpys(
    start: Start, private_python: list[str], page_frames: None, tmp_path: Path
) -> None:
    target = start("ground_truth", "overlapping", python=private_python).order("warm").freeze()
    line = [sys.executable, "-", str(target.pid), "--pages"]
    done = subprocess.run(line, input=read_collector(True).encode(), capture_output=True, check=True)
    (tmp_path / "plain.airmem").write_bytes(done.stdout)
    plain = answer_pss(target.pid, source=open_capture(str(tmp_path / "plain.airmem")), with_exclusive=True)
    numpy = answer_pss(target.pid, source=capture(target.pid, tmp_path / "x.airmem"), with_exclusive=True)
    assert [row.sharing for row in plain.processes] != [None] * len(plain.processes)
    for one, other in zip(plain.processes, numpy.processes, strict=True):
        # The PSS moves between the two captures: the collector's own Python maps the vdso, too.
        sizes = (one.account.rss_bytes, one.account.uss_bytes, one.depth, str(one.sharing))
        assert sizes == (other.account.rss_bytes, other.account.uss_bytes, other.depth, str(other.sharing))
        assert {name: getattr(one.sharing, name) for name in one.sharing.__slots__} == {
            name: getattr(other.sharing, name) for name in other.sharing.__slots__
        }
    assert plain.tree.distinct_bytes == numpy.tree.distinct_bytes
    assert plain.tree.exclusive_bytes == numpy.tree.exclusive_bytes
