"""Starting: by every name, and without anything heavy."""

from __future__ import annotations

import datetime
import gettext
import inspect
import os
import shutil
import subprocess
import sys
import uuid

import pytest

from airmem._click import clean_line, same_number, same_text
from airmem._version import __version__

OWN = str(os.getpid())
HEAVY = {"numpy", "rich", "psutil", "memray", "asyncio", "multiprocessing", "importlib.metadata"}
PLAIN = {"click", "typing", "re", "enum", "json", "contextlib", "functools", "collections", "textwrap", "shutil"}
"""What a plain line of ps and pss needs neither, beside SLOW."""

SLOW = HEAVY | {"inspect", "datetime", "gettext", "locale", "uuid", "ast", "dis", "tokenize", "platform", "dataclasses"}
"""What no short command needs; help texts of several lines do."""


def imported(*arguments: str) -> set[str]:
    """Return the modules that a command line imports, without those of Python's own start."""
    began, all_of_it = (
        {
            line.rpartition("|")[2].strip()
            for line in subprocess.run(
                [sys.executable, "-X", "importtime", "-c", *code], capture_output=True, text=True, check=True
            ).stderr.split("\n")
            if line.startswith("import time:")
        }
        for code in (["pass"], ["from airmem.__main__ import run; run()", *arguments])
    )
    return all_of_it - began


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (("--version",), SLOW | {"json", "airmem.commands.pss", "airmem.collect.tree"}),
        (("--help",), HEAVY),
        (("pss", OWN, "--format", "json", "--depth", "rollup"), SLOW | PLAIN | {"csv", "airmem.render.as_text"}),
        (("pss", OWN, "--format", "csv", "--depth", "rollup"), SLOW | {"click"}),
        (("pss", OWN, "--depth", "rollup"), SLOW | PLAIN | {"csv"}),
        (("pss", OWN, "--mappings"), SLOW | PLAIN),
        (("pss", OWN, "--depth", "status", "--top", "1"), SLOW),
        (("ps",), SLOW | {"click", "typing", "json", "textwrap", "shutil"}),  # a word that looks secret needs re
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


def test_no_summary_of_a_command_is_cut(run):
    listed = (
        run("--help", variables={"COLUMNS": "80"}).stdout.partition("Commands:")[2].partition("Shell completion")[0]
    )
    assert len(listed.split("\n\n")[0].strip().splitlines()) > 10
    assert "..." not in listed


def test_each_command_has_help(run):
    from click import Context

    from airmem.group import airmem

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


@pytest.mark.parametrize(
    "text", ["", "A word.", "  led by spaces", "led\tby tabs", "First.\n\n    Second.\n      Third.\n"]
)
def test_a_help_text_is_cleaned_as_inspect_does(text):
    assert clean_line(text) == inspect.cleandoc(text)


def test_click_finds_all_of_the_modules_that_are_not_loaded_at_first():
    code = (
        "import sys; from airmem._click import STAND_INS, click;"
        "assert not {*STAND_INS, 'platform', 'locale'} & set(sys.modules);"
        "assert click.core.inspect.isfunction(len) is False; import inspect, platform;"
        "assert click.core.inspect.signature is inspect.signature; print(platform.system(), inspect.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Linux inspect\n"


def test_options_of_the_types_whose_modules_are_not_loaded_at_first_work():
    code = (
        "from airmem._click import click\n"
        "@click.command()\n@click.option('--day', type=click.DateTime())\n@click.option('--id', type=click.UUID)\n"
        "def show(**given): print(given)\n"
        "assert not isinstance('', click.types.datetime)\n"
        "show(['--day', '2026-01-02', '--id', '0' * 32], standalone_mode=False)\n"
        "import datetime, uuid\n"
        "show.callback(day=click.DateTime().convert(datetime.datetime(2026, 1, 2), None, None),"
        " id=click.UUID.convert(uuid.UUID(int=0), None, None))\n"
        "show(['--id', 'none'], prog_name='show')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    given = {"day": datetime.datetime(2026, 1, 2), "id": uuid.UUID(int=0)}  # click's have no zone
    assert done.stdout.splitlines() == [str(given)] * 2
    assert done.returncode == 2
    assert "'none' is not a valid UUID" in done.stderr


@pytest.mark.parametrize("count", [0, 1, 2])
def test_words_are_chosen_as_gettext_does(count):
    assert same_number("a file", "files", count) == gettext.ngettext("a file", "files", count)
    assert same_text("a file") == gettext.gettext("a file")
