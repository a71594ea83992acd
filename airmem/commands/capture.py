"""`airmem capture`: one file that answers elsewhere."""

from __future__ import annotations

import sys

import click

from airmem.commands._options import FILE, TargetName
from airmem.commands._output import check_output, write, write_stream
from airmem.errors import NotPermitted, UsageProblem
from airmem.questions.targets import resolve_target
from airmem.units import format_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from airmem.questions.capture import Captured

EPILOG = """\b
Examples:
  airmem capture scheduler -o scheduler.airmem
  airmem pss --from scheduler.airmem
  airmem capture scheduler --contents -o secret.airmem
  airmem capture --print-collector > airmem-collector.py
  kubectl exec -i POD -- python3 - scheduler < airmem-collector.py > scheduler.airmem
"""


@click.command("capture", short_help="All that airmem reads of a tree, in one file.", epilog=EPILOG)
@click.argument("target", required=False, type=TargetName())
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write to a new file of mode 0600.")
@click.option("--force", is_flag=True, help="Replace the file of --output if it exists.")
@click.option("--pages/--no-pages", default=None, help="With page tables or without; by default where pss reads them.")
@click.option("--no-mappings", is_flag=True, help="Leave smaps out: smaller, and pss --mappings has no answer.")
@click.option("--contents", is_flag=True, help="Keep what is in memory, for cow and heap: all secrets are in it.")
@click.option("--print-collector", is_flag=True, help="Print the collector, which needs Python 3.6 and no airmem.")
def command(target: str | None, **options: Any) -> int:
    """Write all that airmem reads of a process and its descendants into one file, for an answer elsewhere.

    TARGET is a pid, a component (scheduler, celery-worker, gunicorn ...), or nothing where there is one obvious tree.
    Every command that reads takes the file with --from. Reads /proc only: nothing is stopped, changed or sent. Secrets
    in command lines are replaced, environments are never read, page frames get new numbers.
    """
    from airmem.questions.capture import answer_capture, read_collector  # noqa: PLC0415  # --help needs none of it

    check_output(options["output"], options["force"])
    if options["contents"]:
        _check_contents(options)
    if options["print_collector"]:
        if target is not None:
            raise UsageProblem("--print-collector takes no TARGET", "The collector itself takes it: python3 - TARGET")
        write(read_collector(bool(options["pages"])), options["output"], options["force"])
        return 0
    root_pid = resolve_target(target)
    captured: list[Captured] = []
    line = _Progress()

    def produce(write_bytes: Callable[[bytes], object]) -> None:
        captured.append(
            answer_capture(
                root_pid,
                write_bytes,
                with_pages=options["pages"],
                with_mappings=not options["no_mappings"],
                with_contents=options["contents"],
                progress=line.show if sys.stderr.isatty() else None,
            )
        )

    write_stream(produce, options["output"], options["force"])
    line.clear()
    return _finish(captured[0], options["output"])


def _check_contents(options: dict[str, Any]) -> None:
    """Warn of what a capture with contents holds. Errors: UsageProblem where it would be for everybody to read."""
    if options["print_collector"] or options["pages"] is False:
        raise UsageProblem(
            "--contents needs page tables and airmem itself", "Leave out --print-collector and --no-pages"
        )
    if options["output"] is None or options["output"] == "-":
        raise UsageProblem("--contents writes to a file of mode 0600 only", "Give one with -o FILE")
    click.echo(
        "Warning: the file will hold the memory of these processes, passwords, keys and data included. Who can read "
        "it can read them. Nothing is paused; of a process that works memory is read a twentieth of the time.",
        err=True,
    )


class _Progress:
    """A line at a terminal that tells how far a long capture is."""

    def __init__(self) -> None:
        self._shown = ""

    def show(self, done: int, of: int) -> None:
        """Show how many processes of how many are done."""
        if of > 1:
            self._shown = f"captured {done} of {of} processes"
            click.echo(f"\r{self._shown}", nl=False, err=True)

    def clear(self) -> None:
        """Leave the line empty."""
        if self._shown:
            click.echo("\r" + " " * len(self._shown) + "\r", nl=False, err=True)


def _finish(captured: Captured, path: str | None) -> int:
    pages = "with page tables" if captured.has_pages else "without page tables"
    refused = f", {captured.refused_count} of them refused" if captured.refused_count else ""
    count = captured.process_count
    if captured.contents_bytes is not None:
        pages += f" and {format_bytes(captured.contents_bytes)} of contents"
    click.echo(f"Captured {count} process{'es' if count != 1 else ''}{refused}, {pages}.", err=True)
    if captured.denial is not None:
        raise NotPermitted(captured.denial.detail, captured.denial.remedy)
    if path is not None:
        click.echo(f"Next: airmem {'pss' if captured.contents_bytes is None else 'cow'} --from {path}", err=True)
    return 0
