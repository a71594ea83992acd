"""`airmem trace`: records where memory is allocated."""

from __future__ import annotations

import sys

import click

from airmem.commands._options import FILE, Duration, Size, TargetName
from airmem.commands._output import show, show_aside, write
from airmem.errors import UsageProblem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airmem.model.trace import TraceMode, TracePlan, TraceProgress, TraceReport
    from airmem.questions.trace import Room
    from airmem.views.document import Document

EPILOG = """\b
Examples:
  airmem trace scheduler                            start it and record it; Ctrl-C ends both
  airmem trace --attach 4242 --duration 60          record a process that runs
  airmem trace -- python -m http.server             any Python program
  airmem trace --show-steps scheduler --on kubernetes
  airmem trace --list
  airmem trace --clean 7d

Exit status: the program's own with COMPONENT or COMMAND (128 and the signal's number where one ended it).
"""

PLACES = ("systemd", "docker", "compose", "kubernetes")
MOST_ROWS = 8
EVERY_SECONDS = 30.0
"""So often a line tells how far it is while a program runs that writes to the same terminal."""


class _AfterDashes(click.Command):
    """A command that keeps apart what stands after `--`: it belongs to the program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what is before the dashes."""
        at = args.index("--") if "--" in args else len(args)
        ctx.meta["airmem.after_dashes"] = tuple(args[at + 1 :]) if at < len(args) else None
        return super().parse_args(ctx, args[:at])


@click.command(
    "trace",
    short_help="Who allocates: a program recorded with memray, safely.",
    cls=_AfterDashes,
    epilog=EPILOG,
    options_metavar="[OPTIONS] [-- COMMAND...]",
)
@click.argument("component", required=False)
@click.option("--attach", type=TargetName(), metavar="TARGET", help="Record a process that runs: a pid or a component.")
@click.option("--duration", type=Duration(), metavar="DURATION", help="With --attach: for how long.  [default: 60 s]")
@click.option(
    "--wait",
    type=Duration(),
    default=20.0,
    metavar="DURATION",
    help="With --attach: how long the debugger may wait.  [default: 20 s]",
)
@click.option("--new", "is_new", is_flag=True, help="Start a component although one runs here: they share a database.")
@click.option("--via-airflow", is_flag=True, help="Let Airflow (3.2 and later) record by its own switch.")
@click.option("--detail", is_flag=True, help="Native frames and each small object: exact, and many times slower.")
@click.option("--aggregate", is_flag=True, help="Keep sums only: small files; lost if the process is killed.")
@click.option("--follow-fork/--no-follow-fork", default=None, help="Children, too.  [default: only what is started]")
@click.option(
    "--budget", type=Size(), metavar="SIZE", help="Disk that it may use.  [default: 2G or 20 % of what is free]"
)
@click.option(
    "-o", "--output", "place", type=FILE, metavar="DIR", help="Where traces lie, each in a folder of its own."
)
@click.option("--yes", is_flag=True, help="Begin without asking; needed in scripts.")
@click.option("--no-analyze", is_flag=True, help="Say what the files are worth, and do not analyze them.")
@click.option("--show-steps", is_flag=True, help="Print the steps for COMPONENT in a place that airmem cannot reach.")
@click.option("--on", "on_place", type=click.Choice(PLACES), help="With --show-steps: the place.")
@click.option("--list", "is_list", is_flag=True, help="Show the traces that lie around.")
@click.option("--clean", type=Duration(), metavar="OLDER", help="Remove traces older than this: 12h, 7d.")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", help="The answer's form.")
@click.option("--no-color", is_flag=True, help="No color, as with NO_COLOR in the environment.")
@click.pass_context
def command(ctx: click.Context, /, component: str | None, attach: str | None, **options: Any) -> int:
    """Record every allocation of a program: start one, or put memray into one that runs.

    COMPONENT is one of Airflow's (scheduler, api-server, dag-processor, triggerer), started in the foreground as
    `airflow COMPONENT` would; what stands after -- is given to it, or is any Python program. --attach pauses the
    process for one or two seconds at the beginning and the end. Says first what it costs, and asks.
    """
    words: tuple[str, ...] | None = ctx.meta["airmem.after_dashes"]
    _check(component, attach, words, options)
    if options["show_steps"]:
        return _show_steps(component, options)
    if options["is_list"] or options["clean"] is not None:
        return _clean(options) if options["clean"] is not None else _list(options)
    if attach is not None:
        return _attach(attach, options)
    return _launch(component, words, options)


def _check(component: str | None, attach: str | None, words: tuple[str, ...] | None, options: dict[str, Any]) -> None:
    """Refuse what makes no sense together. Errors: UsageProblem."""
    aims = [attach is not None, options["is_list"], options["clean"] is not None]
    is_launch = component is not None or bool(words)
    if sum(aims) + is_launch != 1:
        raise UsageProblem(
            "say one thing to trace: COMPONENT, --attach TARGET or -- COMMAND; or --list, or --clean",
            "Examples: airmem trace scheduler; airmem trace --attach 4242 --duration 60; airmem trace -- python app.py",
        )
    if options["duration"] is not None and attach is None:
        raise UsageProblem("--duration needs --attach", "A program that is started is recorded until it ends.")
    if (options["via_airflow"] or options["is_new"] or options["show_steps"]) and component is None:
        raise UsageProblem(
            "--via-airflow, --new and --show-steps need a COMPONENT", "Example: airmem trace scheduler --new"
        )
    if options["show_steps"] != (options["on_place"] is not None):
        places = "|".join(PLACES)
        raise UsageProblem(
            "--show-steps and --on go together", f"Example: airmem trace --show-steps scheduler --on {places}"
        )
    if options["detail"] and options["aggregate"]:
        raise UsageProblem("--detail and --aggregate are two different modes", "Choose one.")
    if options["via_airflow"] and options["aggregate"]:
        raise UsageProblem("Airflow's own switch knows no aggregated form", "Leave --aggregate away.")


def _mode(options: dict[str, Any], follows_by_default: bool) -> TraceMode:
    from airmem.model.trace import TraceMode  # noqa: PLC0415

    follows = options["follow_fork"]
    return TraceMode(
        with_native=options["detail"],
        with_python_allocators=options["detail"],
        is_aggregated=options["aggregate"],
        follows_forks=follows_by_default if follows is None else follows,
    )


def _room(options: dict[str, Any]) -> Room:
    from airmem.questions.trace import Room  # noqa: PLC0415

    return Room(place=options["place"], budget_bytes=options["budget"])


def _launch(component: str | None, words: tuple[str, ...] | None, options: dict[str, Any]) -> int:
    from airmem.questions.trace import answer_launch, plan_command, plan_component  # noqa: PLC0415

    mode = _mode(options, follows_by_default=not options["via_airflow"])
    if component is not None:
        plan = plan_component(
            component,
            words or (),
            mode,
            _room(options),
            is_new=options["is_new"],
            via_airflow=options["via_airflow"],
        )
    else:
        plan = plan_command(words or (), mode, _room(options))
    _announce(plan, options)
    report, status, was_asked_to_end = answer_launch(plan, _Lines().show)
    _finish(report, options, to_stderr=True, is_hurried=was_asked_to_end)
    return status if status >= 0 else 128 - status


def _attach(target: str, options: dict[str, Any]) -> int:
    from airmem.questions.trace import answer_attach, plan_attach  # noqa: PLC0415

    duration = 60.0 if options["duration"] is None else options["duration"]
    mode = _mode(options, follows_by_default=False)
    plan = plan_attach(target, duration, options["wait"], mode, _room(options))
    _announce(plan, options)
    line = _Line()
    try:
        report = answer_attach(plan, line.show)
    finally:
        line.clear()
    _finish(report, options, to_stderr=False, is_hurried=False)
    return 0


def _announce(plan: TracePlan, options: dict[str, Any]) -> None:
    """Say what it costs and ask. Errors: UsageProblem where nobody can be asked; click.Abort on a no."""
    from airmem.views.trace import view_plan  # noqa: PLC0415

    show_aside(view_plan(plan), options["no_color"], 100)
    if options["yes"]:
        return
    if not sys.stdin.isatty():
        raise UsageProblem("nobody is there to ask whether to begin", "Give --yes where this is known and wanted.")
    click.confirm("Begin?", abort=True, err=True)


def _finish(report: TraceReport, options: dict[str, Any], *, to_stderr: bool, is_hurried: bool) -> None:
    """Show what was recorded, and what it tells unless nobody has time for that."""
    from airmem.views.trace import view_trace  # noqa: PLC0415

    if options["no_analyze"] or is_hurried:
        analysis = None
    else:
        from airmem.questions.trace import analyze_trace  # noqa: PLC0415

        report, analysis = analyze_trace(report)
    if options["form"] == "json":
        from airmem.render import as_json  # noqa: PLC0415

        write(as_json.render(report), None)
        return
    _show(view_trace(report, is_analyzed=analysis is not None), options, to_stderr)
    if analysis is not None:
        from airmem.views.analyze import view_analyze  # noqa: PLC0415

        _show(view_analyze(analysis, MOST_ROWS), options, to_stderr)


def _show(document: Document, options: dict[str, Any], to_stderr: bool) -> None:
    if to_stderr:
        show_aside(document, options["no_color"])
    else:
        show(document, None, False, options["no_color"])


def _list(options: dict[str, Any]) -> int:
    from airmem.questions.trace import answer_list  # noqa: PLC0415

    _finish(answer_list(options["place"]), options, to_stderr=False, is_hurried=True)
    return 0


def _clean(options: dict[str, Any]) -> int:
    from airmem.questions.trace import answer_clean, find_old  # noqa: PLC0415

    old = find_old(options["place"], options["clean"])
    count = f"{len(old)} trace{'s' * (len(old) != 1)}"
    if old and not options["yes"]:
        for one in old:
            click.echo(f"  {one.folder}", err=True)
        if not sys.stdin.isatty():
            raise UsageProblem(f"{count} would be removed, and nobody is there to ask", "Give --yes.")
        click.confirm(f"Remove {count}?", abort=True, err=True)
    _finish(answer_clean(options["place"], old), options, to_stderr=False, is_hurried=True)
    return 0


def _show_steps(component: str | None, options: dict[str, Any]) -> int:
    from airmem.questions.trace import name_component  # noqa: PLC0415
    from airmem.views.trace_steps import view_steps  # noqa: PLC0415

    show(view_steps(name_component(component or ""), options["on_place"]), None, False, options["no_color"])
    return 0


class _Line:
    """One line at a terminal that is written over again and again."""

    def __init__(self) -> None:
        self._width = 0

    def show(self, progress: TraceProgress) -> None:
        """Write how far it is over the line before."""
        from airmem.views.trace import view_progress  # noqa: PLC0415

        if sys.stderr.isatty():
            text = view_progress(progress)
            click.echo("\r" + text.ljust(self._width), nl=False, err=True)
            self._width = len(text)

    def clear(self) -> None:
        """Leave the line empty."""
        if self._width:
            click.echo("\r" + " " * self._width + "\r", nl=False, err=True)


class _Lines:
    """A line from time to time, between those that a program writes to the same terminal."""

    def __init__(self) -> None:
        self._next_seconds = EVERY_SECONDS

    def show(self, progress: TraceProgress) -> None:
        """Write how far it is, if that was some time ago."""
        from airmem.views.trace import view_progress  # noqa: PLC0415

        if sys.stderr.isatty() and progress.elapsed_seconds >= self._next_seconds:
            self._next_seconds = progress.elapsed_seconds + EVERY_SECONDS
            click.echo(f"airmem: {view_progress(progress)}", err=True)
