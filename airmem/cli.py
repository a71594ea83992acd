"""The click group: finds commands by file, imports one only when it is called, maps errors to exit statuses."""

from __future__ import annotations

import os
import sys
from errno import ENOMEM
from importlib import import_module

from airmem._click import click
from airmem._version import __version__
from airmem.errors import AirmemError

COMMANDS_FOLDER = os.path.join(os.path.dirname(__file__), "commands")
FAULT = 70
INTERRUPTED = 130
UNMEASURABLE = 5
NO_THREAD = "can't start new thread"
LITTLE_MEMORY = (
    b"airmem: not enough memory, or no thread left, for this answer\n"
    b"  Give airmem more (ulimit -v and -u, the limits of its container), read less (cow --max-bytes, pss --depth"
    b" rollup), or make a capture and ask it elsewhere\n"
)


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


def main(arguments: list[str] | None = None) -> int:  # noqa: PLR0911  # one line for each way to end
    """Run the command line and return its exit status; no traceback reaches a person."""
    try:
        status = airmem.main(args=arguments, prog_name="airmem", standalone_mode=False)
    except click.exceptions.Abort:
        return _say("interrupted", "", INTERRUPTED)
    except KeyboardInterrupt:
        return _say("interrupted", "", INTERRUPTED)
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except AirmemError as problem:
        return _say(problem.cause, problem.remedy, problem.exit_status, problem.lines)
    except (BrokenPipeError, SystemExit):
        # The reader of a pipe (head, less) has gone: nothing is wrong, and nothing more can be written. click, where
        # it meets that first, exits with 1.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as fault:  # the last barrier: a bug must not look like a stack of files at 3 a.m.
        return _report_fault(fault)
    return status if isinstance(status, int) else 0


def _say(cause: str, remedy: str, status: int, lines: tuple[str, ...] = ()) -> int:
    from airmem.render.escape import escape  # noqa: PLC0415

    click.echo(f"airmem: {escape(cause)}", err=True)
    for line in lines:
        click.echo(f"  {escape(line)}", err=True)
    if remedy:
        click.echo(f"  {escape(remedy)}", err=True)
    return status


def _is_memory(fault: Exception) -> bool:
    if isinstance(fault, OSError):
        return fault.errno == ENOMEM
    # A library that found no room, in the words of the dynamic linker, and a thread, in those of CPython.
    return isinstance(fault, MemoryError) or any(words in str(fault) for words in ("failed to map segment", NO_THREAD))


def _report_fault(fault: Exception) -> int:
    try:
        if not _is_memory(fault):
            return _report_bug(fault)
    except MemoryError:
        pass  # what came before it was memory too, by another name
    # What is ready is written as it is: where memory is short, nothing else can be imported or put together.
    os.write(2, LITTLE_MEMORY)
    return UNMEASURABLE


def _report_bug(fault: Exception) -> int:
    import traceback  # noqa: PLC0415

    if os.environ.get("AIRMEM_TRACEBACK"):
        traceback.print_exception(fault)
    place = traceback.extract_tb(fault.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"
    remedy = "This is a fault of airmem; AIRMEM_TRACEBACK=1 shows where. Please report it."
    return _say(f"{type(fault).__name__} in {where}: {fault}", remedy, FAULT)
