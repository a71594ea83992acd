"""Where stacks cannot be read, hang-dump says what /proc tells, why it is no more, and what helps; the latter is applied."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import PROGRAMS
from tests.live.permission import Toolbox, contained_root, hiding, make_toolbox, user

USER = user(50000, 0)

ROWS = [
    ("root", [], USER, "", ""),
    ("root, not dumpable", [], USER, "", "undumpable"),
    ("same uid", USER, USER, "", ""),
    ("same uid, not dumpable", USER, USER, "not_dumpable", "undumpable"),
    ("same uid, other gid", user(50000, 50000), USER, "other_group", ""),
    ("same uid, target with more capabilities", USER, user(50000, 0, "net_raw"), "more_capabilities", ""),
    ("other uid", user(1001), USER, "other_user", ""),
    ("a user looks at root", user(1001), [], "other_user", ""),
    ("same uid, no new privileges", [*USER, "--no-new-privs"], USER, "", ""),
    ("container root", contained_root(), USER, "other_user", ""),
    ("container root looks at its like", contained_root(), contained_root(), "", ""),
    ("container root looks at root with more", contained_root(), [], "more_capabilities", ""),
    ("container root + SYS_PTRACE, not dumpable", contained_root("sys_ptrace"), USER, "", "undumpable"),
    ("container root + PERFMON reads but may not trace", contained_root("perfmon"), USER, "other_user", ""),
    ("child user namespace looks out", ["unshare", "-Ur"], USER, "user_namespace", ""),
]


@pytest.fixture(scope="session")
def toolbox(private_python: list[str], public_folder: Path) -> Toolbox:
    """airmem and py-spy as anybody can run them, with a Python that py-spy knows: no loader's name stands for it."""
    *variables, _, _, libraries, program = private_python
    python = [*variables, f"LD_LIBRARY_PATH={libraries}", program]
    made = make_toolbox(public_folder / "hang-toolbox", python, PROGRAMS)
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        pytest.skip("needs py-spy")
    shutil.copy(spy, made.folder / "bin/py-spy")
    return made


@pytest.fixture
def rest_as(start: Any, toolbox: Toolbox) -> Any:
    """Start a resting process as somebody, with an interpreter that py-spy knows by its name."""

    def run(prefix: list[str], *arguments: str) -> Any:
        return start(command=[*prefix, *toolbox.python, str(toolbox.folder / "programs/resting.py"), *arguments])

    return run


def thread_of(answer: Any, pid: int) -> Any:
    (row,) = [one for one in answer["processes"] if one["pid"] == pid]
    return row["threads"][0]


@pytest.mark.parametrize("row", [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_row(superuser: None, toolbox: Toolbox, rest_as: Any, row: Any) -> None:
    looker, whose, reason, argument = row
    target = rest_as(whose, *[argument] * bool(argument))
    done = toolbox.run(looker, "hang-dump", target.pid, "--window", "0.1", "--format", "json")
    assert done.status == 0, done.errors
    gaps = {one["pid"]: one for one in done.answer["gaps"] if one["fact"] == "stacks"}
    if not reason:
        assert gaps == {}
        assert thread_of(done.answer, target.pid)["function"] == "rest"
        return
    assert {pid: gap["reason"] for pid, gap in gaps.items()}[target.pid] == reason
    assert thread_of(done.answer, target.pid)["frames"] == []
    helped = apply(toolbox, looker, gaps[target.pid]["remedy"])
    assert helped.status == 0, helped.errors
    assert thread_of(helped.answer, target.pid)["function"] == "rest"


def apply(toolbox: Toolbox, looker: list[str], remedy: str) -> Any:
    """Run the line that a remedy ends in, where the looker is or as the root that sudo gives."""
    line = remedy.rpartition(": ")[2]
    assert "airmem hang-dump" in line, remedy
    return toolbox.apply(looker if line.startswith("setpriv") else [], f"{line} --format json")


@pytest.mark.parametrize("level", [1, 2])
def test_a_hidden_process_is_no_dead_one(superuser: None, toolbox: Toolbox, rest_as: Any, level: int) -> None:
    target = rest_as(USER)
    done = toolbox.run([*hiding(level), *user(1001)], "hang-dump", target.pid)
    assert done.status == 4
    assert "hidepid" in done.errors


def test_without_pyspy_proc_still_tells(superuser: None, toolbox: Toolbox, rest_as: Any) -> None:
    target = rest_as([])
    (toolbox.folder / "bin/py-spy").rename(toolbox.folder / "bin/away")
    try:
        done = toolbox.run([], "hang-dump", target.pid, "--window", "0.1", "--format", "json")
    finally:
        (toolbox.folder / "bin/away").rename(toolbox.folder / "bin/py-spy")
    assert done.status == 0, done.errors
    assert [gap["reason"] for gap in done.answer["gaps"] if gap["fact"] == "stacks"] == ["no_pyspy"]
    assert thread_of(done.answer, target.pid)["category"] == "pipe_read"
