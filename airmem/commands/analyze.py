"""`airmem analyze`: where was it allocated, and by whom is it held."""

from __future__ import annotations

import os
import sys

import click

from airmem.commands._options import FILE, answer_options
from airmem.commands._output import check_output, show, status_of, write, write_stream
from airmem.errors import UsageProblem
from airmem.units import format_bytes, format_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airmem.model.allocation import AnalyzeReport, ReadingCost

TABLES = ("distributions", "frames", "functions", "files", "timeline", "diff")
LONG_SECONDS = 5.0

EPILOG = """\b
Examples:
  airmem analyze scheduler.bin                    what its memory consists of
  airmem analyze traces/scheduler-*               a parent and its workers, as one
  airmem analyze short.bin --diff long.bin        a leak grows with time, a cache does not
  airmem analyze app.bin --application myapp/     the lines of myapp, wherever it is installed
  airmem analyze scheduler.bin --format html -o scheduler.html --flamegraph
  airmem analyze old.bin --python /opt/airflow/bin/python
"""


class _TakesSeveral(click.Command):
    """Lets --diff have all words after it up to the next option, as people type them and as shells expand them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse with `--diff A B` made `--diff A --diff B`."""
        spelled: list[str] = []
        follows = False
        for word in args:
            if word == "--diff" or word.startswith("-"):
                follows = word == "--diff"
                spelled.append(word)
            else:
                spelled += ["--diff", word] if follows and spelled[-1] != "--diff" else [word]
        return super().parse_args(ctx, spelled)


@click.command("analyze", short_help="What captures of memray hold, and what leaks.", cls=_TakesSeveral, epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option("--diff", "others", multiple=True, metavar="OTHER...", help="Compare with captures of another length.")
@click.option("--application", multiple=True, metavar="PATH", help="What counts as the application: a folder, or pkg/.")
@click.option("--churn/--no-churn", default=None, help="Read what was freed at once; by default where that is cheap.")
@click.option("--python", metavar="PROGRAM", help="The Python whose memray reads, for files of another memray.")
@click.option("--flamegraph", is_flag=True, help="Also write memray's flame graph of each file beside the answer.")
@click.option("--preflight", is_flag=True, help="Only tell what reading would take: time and memory.")
@click.option("--top", type=click.IntRange(min=1), default=15, show_default=True, metavar="N", help="Rows of a table.")
@click.option("--table", type=click.Choice(TABLES), default="distributions", show_default=True, help="For csv: which.")
@answer_options("text", "json", "csv", "html")
@click.option("-v", "--verbose", is_flag=True, help="Every file.")
def command(paths: tuple[str, ...], others: tuple[str, ...], **options: Any) -> int:
    """Tell what the captures of memray hold: by package, by line, by function; what is kept, and what is churned.

    FILE is what memray wrote (airmem trace, memray run, Airflow's memray_trace_components). The files of a parent and
    its forked workers are summed. Each gets a verdict: memray reads a file that was cut in half without a word.
    """
    from airmem.questions.analyze import AnalyzeOptions, answer_analyze, preview_analyze  # noqa: PLC0415

    check_output(options["output"], options["force"])
    if options["flamegraph"] and not options["output"]:
        raise UsageProblem("--flamegraph needs a place to write to", "Give --output FILE; it is put beside it.")
    if options["form"] == "csv" and options["table"] == "diff" and not others:
        raise UsageProblem("--table diff needs --diff", "Give the captures to compare with: --diff OTHER")
    cost = preview_analyze((*paths, *others), options["churn"])
    if options["preflight"]:
        click.echo(_tell(cost))
        return 0
    if cost.cpu_seconds > LONG_SECONDS and sys.stderr.isatty():
        click.echo(_tell(cost), err=True)
    report = answer_analyze(
        paths,
        AnalyzeOptions(
            application=options["application"],
            with_churn=options["churn"],
            python=_python(options["python"]),
            other_paths=others,
        ),
        _progress if sys.stderr.isatty() else None,
    )
    graphs = _draw(report, options) if options["flamegraph"] else ()
    _show(report, options, graphs)
    return status_of(report.findings, options["fail_on"])


def _python(name: str | None) -> str:
    """Return the program's path. Errors: UsageProblem when there is none."""
    if name is None:
        return ""
    path = os.path.expanduser(name)
    if "/" in path and not os.access(path, os.X_OK):
        raise UsageProblem(f"{name} is no program", "Give the Python that was traced, such as /opt/airflow/bin/python")
    return path


def _tell(cost: ReadingCost) -> str:
    seconds, memory = format_seconds(cost.cpu_seconds), format_bytes(cost.memory_bytes)
    return f"{format_bytes(cost.size_bytes)} to read: about {seconds} of CPU and {memory} of memory."


def _progress(done: int, of: int) -> None:
    if of > 1:
        click.echo(f"\rread {done} of {of} captures", nl=False, err=True)
        if done == of:
            click.echo("\r" + " " * 40 + "\r", nl=False, err=True)


def _draw(report: AnalyzeReport, options: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Write memray's flame graph of each file that could be read beside the answer; return (capture, name) of each."""
    from airmem.questions.analyze import draw_flamegraph  # noqa: PLC0415

    stem, graphs = os.path.splitext(options["output"])[0], []
    for number, one in enumerate(file for file in report.files if file.peak_bytes is not None):
        path = f"{stem}.flamegraph{f'-{number + 1}' if number else ''}.html"
        page = draw_flamegraph(one.path, _python(options["python"]))
        write_stream(lambda put, page=page: put(page), path, options["force"])  # type: ignore[misc]
        graphs.append((one.path, os.path.basename(path)))
        click.echo(f"Flame graph: {path}", err=True)
    return tuple(graphs)


def _show(report: AnalyzeReport, options: dict[str, Any], graphs: tuple[tuple[str, str], ...]) -> None:
    form, output, force = options["form"], options["output"], options["force"]
    if form == "json":
        from airmem.render import as_json  # noqa: PLC0415

        write(as_json.render(report), output, force)
    elif form == "csv":
        from airmem.render import as_csv  # noqa: PLC0415
        from airmem.views.analyze import view_table  # noqa: PLC0415

        write(as_csv.render(view_table(report, options["table"])), output, force)
    elif form == "html":
        from airmem.render.allocation_page import render_page  # noqa: PLC0415
        from airmem.views.analyze import view_analyze  # noqa: PLC0415

        write(render_page(view_analyze(report, options["top"], options["verbose"]), report, graphs), output, force)
    else:
        from airmem.views.analyze import view_analyze  # noqa: PLC0415

        show(view_analyze(report, options["top"], options["verbose"]), output, force, options["no_color"])
