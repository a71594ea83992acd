"""Which Python runs a command line, told by real files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from airmem.collect.trace_program import label_of
from airmem.errors import UsageProblem
from airmem.probes.programs import resolve_program


def script(folder: Path, first: str, name: str = "tool") -> str:
    path = folder / name
    path.write_text(f"{first}\nprint('hello')\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("words", "options", "program"),
    [
        (("a.py", "-x"), (), ("a.py", "-x")),
        (("-u", "-X", "dev", "a.py"), ("-u", "-X", "dev"), ("a.py",)),
        (("-m", "json.tool", "-h"), (), ("-m", "json.tool", "-h")),
        (("-mjson.tool",), (), ("-m", "json.tool")),
        (("-W", "error", "-c", "pass", "-u"), ("-W", "error"), ("-c", "pass", "-u")),
    ],
)
def test_an_interpreters_own_options_are_told_from_the_programs(words, options, program, tmp_path, monkeypatch):
    (tmp_path / "a.py").touch()
    monkeypatch.chdir(tmp_path)
    assert resolve_program((sys.executable, *words)) == (sys.executable, options, program)


@pytest.mark.parametrize(
    ("first", "python", "options"),
    [
        ("#!/opt/venv/bin/python", "/opt/venv/bin/python", ()),
        ("#!/opt/venv/bin/python3.11 -E", "/opt/venv/bin/python3.11", ("-E",)),
        ("#!/bin/sh\n'''exec' \"/a long/path/python\" \"$0\" \"$@\"\n' '''", "/a long/path/python", ()),
    ],
)
def test_a_script_names_its_python(first, python, options, tmp_path):
    path = script(tmp_path, first)
    assert resolve_program((path, "run")) == (python, options, (path, "run"))


def test_env_looks_in_path(tmp_path, monkeypatch):
    (tmp_path / "python9").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    path = script(tmp_path, "#!/usr/bin/env python9")
    assert resolve_program(("tool",)) == (str(tmp_path / "python9"), (), (path,))


def test_an_interpreters_path_holds_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "python9").symlink_to(sys.executable)
    (tmp_path / "a.py").touch()
    monkeypatch.chdir(tmp_path)
    assert resolve_program(("./python9", "a.py")) == (str(tmp_path / "python9"), (), ("a.py",))


@pytest.mark.parametrize("first", ["#!/bin/bash", "\x7fELF", "#!/usr/bin/env perl", "#!"])
def test_what_is_no_python_program_is_refused(first, tmp_path):
    with pytest.raises(UsageProblem, match="is no Python program"):
        resolve_program((script(tmp_path, first),))


@pytest.mark.parametrize(
    "words",
    [
        ("no-such-program",),
        (sys.executable,),
        (sys.executable, "-m"),
        ("/nonexistent/a",),
        (sys.executable, "no-such.py", "--option"),
        (sys.executable, "-u", "/nonexistent/a.py"),
    ],
)
def test_what_cannot_be_run_is_refused(words):
    with pytest.raises(UsageProblem):
        resolve_program(words)


@pytest.mark.parametrize(
    ("words", "label"),
    [
        (("/venv/bin/airflow", "scheduler"), "airflow"),
        (("python3", "-u", "/srv/my app.py"), "my_app"),
        (("python", "-m", "gunicorn.app", "x"), "gunicorn.app"),
        (("python", "-c", "pass"), "code"),
        (("airflow worker -- LocalExecutor: <idle>",), "airflow_worker_LocalExecutor_idle"),
        ((), "python"),
        (("../../..",), "python"),
    ],
)
def test_a_label_is_short_and_safe_in_file_names(words, label):
    assert label_of(words) == label
