"""The click group: finds commands by file, imports one only when it is called."""

from __future__ import annotations

import os
from importlib import import_module

from airmem._click import click
from airmem._version import __version__

COMMANDS_FOLDER = os.path.join(os.path.dirname(__file__), "commands")


class CommandsByFile(click.Group):
    """A group whose commands are the modules of airmem.commands that do not begin with an underscore."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click passes it
        """Return the names of all commands, sorted."""
        names = [name.removesuffix(".py") for name in os.listdir(COMMANDS_FOLDER) if name.endswith(".py")]
        return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, imported now, or None if there is none of that name."""
        module = cmd_name.replace("-", "_")
        if not module.isidentifier() or module.startswith("_") or not os.path.exists(f"{COMMANDS_FOLDER}/{module}.py"):
            return None
        command = import_module(f"airmem.commands.{module}").command
        assert isinstance(command, click.Command)  # noqa: S101  # a test calls each command's --help
        return command


@click.command(
    cls=CommandsByFile,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog='Shell completion: eval "$(_AIRMEM_COMPLETE=bash_source airmem)" (or zsh_source, fish_source).',
)
@click.version_option(__version__, message="airmem %(version)s")
def airmem() -> None:
    """Why memory grows and why a process stands still: forking Python services, seen from outside.

    \b
    airmem ps                the services on this host, as trees
    airmem pss scheduler     whose memory is it, and with whom is it shared
    airmem demo              a tree of processes to try it on

    Exit status: 0 done, 1 findings at or above --fail-on, 2 usage, 3 the process is gone, 4 not permitted,
    5 could not be measured, 70 a fault of airmem itself, 130 interrupted.
    """


def _show(problem: click.ClickException) -> None:
    try:
        problem.show()
    except OSError:
        pass  # a full disk, or nobody who reads: the status tells


def run_group(words: list[str]) -> int:
    """Run a command line and return its exit status. Errors: KeyboardInterrupt, and those of the command."""
    try:
        status = airmem.main(args=words, prog_name="airmem", standalone_mode=False)
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as problem:
        _show(problem)
        return problem.exit_code
    return status if isinstance(status, int) else 0
