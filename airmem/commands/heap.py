"""`airmem heap`: which objects hold the memory, by type."""

from __future__ import annotations

import os

import click

from airmem.commands._options import answer_options, repeat_options, target_options
from airmem.commands._output import check_output, show, status_of, write
from airmem.errors import Malformed, UsageProblem
from airmem.questions.heap import answer_heap, decode_earlier, diff_heap, earlier_heap
from airmem.questions.targets import resolve_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airmem.model.heap import EarlierHeap, HeapReport
    from airmem.questions.sources import Source

MAKE_ONE = "Make one with: airmem heap TARGET --format json -o before.json"
LARGEST_BYTES = 64 << 20

EPILOG = """\b
Examples:
  airmem heap scheduler                     objects by type, and who has what of its own
  airmem heap 4242 --every 60 --for 10m     which types grow
  airmem heap 4242 --format json -o before.json
  airmem heap 4242 --diff before.json       what grew since
  airmem heap 4242 --diff 4243              against another process
  airmem heap 4242 --type Connection        where these objects lie
"""


@click.command("heap", short_help="Which objects hold the memory, by type.", epilog=EPILOG)
@target_options
@click.option("--diff", "other", metavar="OTHER", help="Compare with an earlier JSON answer, a capture, or a process.")
@click.option("--type", "wanted_type", metavar="NAME", help="Show where the objects of this type lie.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Show the first N types.  [default: 20]")
@repeat_options
@answer_options("text", "json", "csv")
def command(
    target: str | None, files: tuple[str, ...], every: float | None, duration: float | None, **options: Any
) -> int:
    """Show the objects of a CPython process by type, without stopping or touching it.

    TARGET is a pid, a component (scheduler, celery-worker, gunicorn ...), or nothing where there is one obvious tree.
    Reads page contents from outside: nothing is stopped, changed or sent, contents are never stored or shown. Of each
    process below it, it tells how much is its own and how much it still shares.
    """
    if duration is not None and every is None:
        raise UsageProblem("--for needs --every", "Example: --every 60 --for 10m")
    if every is not None and options["output"]:
        raise UsageProblem("--every writes to the terminal or a pipe", "Redirect it: airmem heap ... --every 60 > file")
    if every is not None and (files or options["other"]):
        raise UsageProblem("--every compares each look with the first", "Leave --diff and --from away.")
    check_output(options["output"], options["force"])
    source = _open(files)
    root_pid = resolve_target(target, source)
    if every is not None:
        return _repeat(root_pid, every, duration, options)
    earlier = _earlier(options["other"])
    report = answer_heap(root_pid, wanted_type=options["wanted_type"], source=source)
    return _show(report if earlier is None else diff_heap(earlier, report), options)


def _open(files: tuple[str, ...]) -> Source | None:
    if not files:
        return None
    from airmem.questions.sources import open_only  # noqa: PLC0415  # only with --from

    return open_only(files)


def _earlier(other: str | None) -> EarlierHeap | None:
    """Return what to compare with: a file, or another process as it is now."""
    if other is None:
        return None
    if not os.path.lexists(other) and ("/" in other or "." in other):
        raise UsageProblem(f"cannot read {other}: there is no such file", MAKE_ONE)
    if other.isdecimal() or not os.path.lexists(other):
        return earlier_heap(answer_heap(resolve_target(other)))
    document = _read_json(other)
    if document is not None:
        return decode_earlier(document)
    from airmem.questions.sources import open_from  # noqa: PLC0415  # only for a capture

    try:
        source = open_from(other)
    except Malformed as problem:
        raise UsageProblem(f"{other} is no earlier answer and no capture: {problem.cause}", MAKE_ONE) from problem
    return earlier_heap(answer_heap(resolve_target(None, source), source=source))


def _read_json(path: str) -> dict[str, Any] | None:
    """Return a JSON document, None if the file is something else. Errors: UsageProblem when it cannot be read."""
    import json  # noqa: PLC0415  # only to compare

    try:
        if os.path.isdir(path):
            return None
        with open(path, "rb") as file:
            start = file.read(1)
            if start != b"{":
                return None
            document = json.loads(start + file.read(LARGEST_BYTES))
    except (OSError, ValueError, RecursionError) as problem:
        raise UsageProblem(f"{path} is no earlier answer: {problem}", MAKE_ONE) from problem
    if not isinstance(document, dict):
        raise UsageProblem(f"{path} is no answer of airmem", MAKE_ONE)
    return document


def _repeat(root_pid: int, every: float, duration: float | None, options: dict[str, Any]) -> int:
    import gc  # noqa: PLC0415

    from airmem.questions.repeat import repeat  # noqa: PLC0415

    gc.enable()  # this process may live for hours
    first: EarlierHeap | None = None
    status = 0
    for report in repeat(lambda: answer_heap(root_pid, wanted_type=options["wanted_type"]), every, duration):
        status = _show(report if first is None else diff_heap(first, report), options)
        first = first or earlier_heap(report)
    return status


def _show(report: HeapReport, options: dict[str, Any]) -> int:
    if options["form"] == "json":
        from airmem.render import as_json  # noqa: PLC0415  # only the form that was asked for

        write(as_json.render(report), options["output"], options["force"])
    elif options["form"] == "csv":
        from airmem.render import as_csv  # noqa: PLC0415
        from airmem.views.heap import view_heap_table  # noqa: PLC0415

        write(as_csv.render(view_heap_table(report)), options["output"], options["force"])
    else:
        from airmem.views.heap import view_heap  # noqa: PLC0415

        show(view_heap(report, options["top"]), options["output"], options["force"], options["no_color"])
    return status_of(report.findings, options["fail_on"])
