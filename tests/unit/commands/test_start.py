"""Starting: by every name, and without anything heavy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from airmem._version import __version__

OWN = str(os.getpid())
HEAVY = {"numpy", "rich", "psutil", "memray", "asyncio", "multiprocessing", "importlib.metadata"}


def imported(*arguments: str) -> set[str]:
    """Return the modules that a command line imports."""
    line = [sys.executable, "-X", "importtime", "-m", "airmem", *arguments]
    done = subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.split("\n") if line.startswith("import time:")}


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (("--version",), HEAVY | {"json", "airmem.commands.pss", "airmem.collect.tree"}),
        (("--help",), HEAVY),
        (("pss", OWN, "--format", "json", "--depth", "rollup"), HEAVY | {"csv", "airmem.render.as_text"}),
        (("pss", OWN, "--format", "csv", "--depth", "rollup"), HEAVY),
        (("pss", OWN, "--depth", "rollup"), HEAVY | {"json", "csv"}),
        (("pss", OWN, "--mappings"), HEAVY),
        (("ps",), HEAVY),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(arguments, unwanted):
    modules = imported(*arguments)
    assert "airmem.cli" in modules
    assert modules & unwanted == set()


@pytest.mark.parametrize("name", ["module", "script"])
def test_every_name_it_has(name):
    script = shutil.which("airmem", path=os.path.dirname(sys.executable))
    if name == "script" and script is None:
        pytest.skip("needs airmem to be installed, for its script")
    command = [sys.executable, "-m", "airmem"] if name == "module" else [str(script)]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"airmem {__version__}\n"


def test_without_a_command_it_says_what_there_is(run):
    done = run()
    assert done.returncode in (0, 2)
    assert "pss" in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["nonsense", "_output", "../cli", "pss.py", "", "os", "\x1b[2J"])
def test_what_is_no_command(run, command):
    done = run(command)
    assert done.returncode == 2
    assert "No such command" in done.stderr


def test_each_command_has_help(run):
    from click import Context

    from airmem.cli import airmem

    for name in airmem.list_commands(Context(airmem)):
        done = run(name, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: airmem {name}")


@pytest.mark.parametrize("hidden", ["numpy", "rich", "psutil"])
def test_without_a_package_the_rest_works(run, tmp_path, hidden):
    # A package of that name that cannot be imported, as a broken wheel cannot.
    (tmp_path / f"{hidden}.py").write_text("raise ImportError('broken')\n")
    done = run("pss", OWN, "--format", "json", variables={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    if hidden == "numpy":
        assert '"no_numpy"' in done.stdout or '"no_page_frames"' in done.stdout
