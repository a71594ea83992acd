"""`airmem cow`: why is memory no longer shared, and what would fix it."""

from __future__ import annotations

from functools import partial

import click

from airmem.commands._options import FILE, Ratio, Size, answer_options, repeat_options, target_options
from airmem.commands._output import check_output, show, status_of, write
from airmem.errors import UsageProblem
from airmem.model.noun import replace
from airmem.questions.cow import answer_cow
from airmem.questions.targets import resolve_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from airmem.model.cow import CowReport
    from airmem.model.freeze_trial import FreezeTrial

EPILOG = """\b
Examples:
  airmem cow scheduler                  what its workers copied, and why
  airmem cow 4242 --format json -o cow.json
  airmem cow gunicorn --every 60 --for 1h
  airmem cow 4242 --format csv          one row for each descendant
  airmem cow 4242 --format html -o cow.html   with a map of the address space
  airmem cow --verify-freeze --preload sqlalchemy,myservice.app --python .venv/bin/python
  airmem cow 4242 --fraction 0.1        read a tenth of the copies: an estimate with its margin
"""


FRACTION = "Read this part of the copied pages, chosen at random: an estimate."


@click.command("cow", short_help="Why workers no longer share memory, and what would help.", epilog=EPILOG)
@target_options
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Show the first N types.  [default: 10]")
@click.option("--fraction", type=Ratio(), metavar="RATIO", default=1.0, help=FRACTION)
@click.option("--max-bytes", type=Size(), metavar="SIZE", help="Read about this much at most: estimate the rest.")
@click.option("--verify-freeze", is_flag=True, help="Prove what gc.freeze saves, on modules of your own (--preload).")
@click.option("--preload", metavar="MODULES", help="With --verify-freeze: import these, separated by commas.")
@click.option("--python", type=FILE, metavar="PATH", help="With --verify-freeze: the Python that imports them.")
@repeat_options
@answer_options("text", "json", "csv", "html")
@click.option("-v", "--verbose", is_flag=True, help="Every column.")
def command(
    target: str | None, files: tuple[str, ...], every: float | None, duration: float | None, **options: Any
) -> int:
    """Show what forked workers copied of their parent's memory, why, and what comes next.

    TARGET is a pid, a component (scheduler, celery-worker, gunicorn ...), or nothing where there is one obvious tree.
    Reads page tables and page contents from outside: nothing is stopped, changed or sent, contents are never stored
    or shown. Only --verify-freeze runs something: MODULES are imported in new processes, which end with the command.
    """
    if duration is not None and every is None:
        raise UsageProblem("--for needs --every", "Example: --every 60 --for 10m")
    if every is not None and options["output"]:
        raise UsageProblem("--every writes to the terminal or a pipe", "Redirect it: airmem cow ... --every 60 > file")
    if every is not None and files:
        raise UsageProblem("--every looks again; a file does not change", "Leave --every away, or --from.")
    check_output(options["output"], options["force"])
    trial = _try_freeze(options, every)
    if trial is not None and target is None and not files:
        if options["form"] == "html":
            raise UsageProblem("--format html is a map of a tree", "Give a TARGET, or leave --format html away")
        from airmem.questions.verify_freeze import report_freeze_trial  # noqa: PLC0415  # only when asked for

        _show(report_freeze_trial(trial), options)
        return 0
    source = None
    if files:
        from airmem.questions.sources import open_only  # noqa: PLC0415  # only with --from

        source = open_only(files)
    root_pid = resolve_target(target, source)
    bounds = {"fraction_ratio": options["fraction"], "most_bytes": options["max_bytes"]}
    ask = partial(answer_cow, root_pid, source=source, with_map=options["form"] == "html", **bounds)
    if every is None:
        report = ask() if trial is None else replace(ask(), verify_freeze=trial)
        _show(report, options)
        return status_of(report.findings, options["fail_on"])
    return _repeat(ask, every, duration, options)


def _try_freeze(options: dict[str, Any], every: float | None) -> FreezeTrial | None:
    """Run the trial, if it is asked for, after saying what it does."""
    preload, python = options["preload"], options["python"]
    if not options["verify_freeze"]:
        if preload or python:
            raise UsageProblem("--preload and --python belong to --verify-freeze", "Add --verify-freeze")
        return None
    if not preload:
        raise UsageProblem("--verify-freeze needs --preload", "Example: --verify-freeze --preload sqlalchemy")
    if every is not None or options["form"] == "csv":
        raise UsageProblem("--verify-freeze is one trial, as text or JSON", "Leave --every and --format csv away")
    from airmem.questions.verify_freeze import answer_verify_freeze  # noqa: PLC0415  # loads subprocess

    click.echo(f"airmem: importing {preload} in new processes that run as you do and end with this command", err=True)
    return answer_verify_freeze(preload, python)


def _repeat(ask: Callable[[], CowReport], every: float, duration: float | None, options: dict[str, Any]) -> int:
    import gc  # noqa: PLC0415

    from airmem.questions.repeat import repeat  # noqa: PLC0415

    gc.enable()  # this process may live for hours
    report = None
    for report in repeat(ask, every, duration):
        _show(report, options)
    return 0 if report is None else status_of(report.findings, options["fail_on"])


def _show(report: CowReport, options: dict[str, Any]) -> None:
    if options["form"] == "json":
        from airmem.render import as_json  # noqa: PLC0415  # only the form that was asked for

        write(as_json.render(report), options["output"], options["force"])
    elif options["form"] == "csv":
        from airmem.render import as_csv  # noqa: PLC0415
        from airmem.views.cow import view_cow_table  # noqa: PLC0415

        write(as_csv.render(view_cow_table(report)), options["output"], options["force"])
    elif options["form"] == "html":
        _show_page(report, options)
    else:
        from airmem.views.cow import view_cow  # noqa: PLC0415

        document = view_cow(report, options["verbose"], options["top"])
        show(document, options["output"], options["force"], options["no_color"])


def _show_page(report: CowReport, options: dict[str, Any]) -> None:
    from airmem.render.as_html import render_html  # noqa: PLC0415  # only the form that was asked for
    from airmem.render.cow_map import render_cow_map  # noqa: PLC0415
    from airmem.views.cow import view_cow  # noqa: PLC0415

    document = view_cow(report, options["verbose"], options["top"])
    title = f"airmem cow {report.component or report.root_pid} on {report.head.host.hostname}"
    write(render_html(document, title=title, body_html=render_cow_map(report)), options["output"], options["force"])
