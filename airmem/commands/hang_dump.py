"""`airmem hang-dump`: why does it stand still."""

from __future__ import annotations

import click

from airmem.commands._bundle import check_bundle, is_bundle, write_bundle
from airmem.commands._options import FILE, Duration, TargetName, answer_options
from airmem.commands._output import check_output, show, status_of, write
from airmem.errors import UsageProblem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airmem.model.verdict import HangReport
    from airmem.questions.hang import LookingPlan

EPILOG = """\b
Examples:
  airmem hang-dump scheduler                  the scheduler and all its workers
  airmem hang-dump                            every service that is found here
  airmem hang-dump 4242 --stuck-after 10m     call hung what has waited for more than ten minutes
  airmem hang-dump scheduler -o evidence.tar.gz   verdict and all facts, to judge elsewhere
  airmem hang-dump --from evidence.tar.gz
  airmem hang-dump 4242 --format json
"""

PAUSES = "airmem: --pause stops each process; what it writes or waits for just then may be cut short"


@click.command("hang-dump", short_help="Why processes stand still, and who waits for whom.", epilog=EPILOG)
@click.argument("targets", nargs=-1, type=TargetName(), metavar="[TARGET]...")
@click.option(
    "--looks", type=click.IntRange(2, 50), default=3, show_default=True, metavar="N", help="How often to look at /proc."
)
@click.option("--window", type=Duration(), default=1.0, show_default=True, metavar="SECONDS", help="Within what time.")
@click.option(
    "--deadline", type=Duration(), default=60.0, show_default=True, metavar="SECONDS", help="For the whole run."
)
@click.option("--jobs", type=click.IntRange(1, 64), metavar="N", help="py-spy at once; by default one for each CPU.")
@click.option(
    "--stuck-after",
    type=Duration(),
    metavar="DURATION",
    help="Call a wait hung when it has lasted longer.  [default: 60, of a bundle what it was made with]",
)
@click.option(
    "--pause", is_flag=True, help="Stop each process while its stacks are read; harms what it does just then."
)
@click.option("--native", is_flag=True, help="Frames of C code, too; needs --pause.")
@click.option("--locals", "with_locals", is_flag=True, help="Keep values of variables, without what looks secret.")
@click.option(
    "--profile", type=Duration(), metavar="SECONDS", help="Add where CPU time goes: own and total time by function."
)
@click.option(
    "--signal",
    "with_signal",
    is_flag=True,
    help="Ask Airflow's components for their stacks by SIGQUIT, too; they print them where their output goes.",
)
@click.option("--from", "bundle", type=FILE, metavar="FILE|DIR", help="Judge a bundle (-o) instead of this system.")
@answer_options(
    "text",
    "json",
    "html",
    output_help="Write a bundle to a new DIR or FILE.tar.gz; any other FILE gets the answer alone. Mode 0600.",
)
@click.option("-v", "--verbose", is_flag=True, help="Every thread with its whole stack.")
def command(targets: tuple[str, ...], **options: Any) -> int:
    """Say why processes stand still: what each thread waits for, who holds it, and what all of it hangs on.

    TARGET is a pid or a component (scheduler, celery-worker, gunicorn ...) and means its whole tree; without one every
    service that is found is looked at. Several looks at /proc, then py-spy without stopping anything.
    """
    from airmem.questions.hang import answer_hang  # noqa: PLC0415  # --help needs none of it

    _check(targets, options)
    stuck_after_seconds = options["stuck_after"]
    if options["bundle"] is not None:
        from airmem.questions.bundles import open_hang  # noqa: PLC0415

        kept = open_hang(options["bundle"])
        return _show(answer_hang((), _plan(options), stuck_after_seconds=stuck_after_seconds, source=kept), options)
    from airmem.questions.targets import resolve_all, resolve_target  # noqa: PLC0415

    roots = tuple(resolve_target(target) for target in targets) if targets else resolve_all()
    if options["pause"]:
        click.echo(PAUSES, err=True)
    if options["with_signal"]:
        _signal(roots)
    if is_bundle(options["output"], options["form"]):
        return _bundle(roots, stuck_after_seconds, options)
    report = answer_hang(
        roots,
        _plan(options),
        stuck_after_seconds=stuck_after_seconds,
        with_values=options["with_locals"],
        profile_seconds=options["profile"],
    )
    return _show(report, options)


def _signal(roots: tuple[int, ...]) -> None:
    """Ask those that are known to print their stacks on SIGQUIT, and say where to look."""
    from airmem.questions.signal_stacks import signal_stacks  # noqa: PLC0415  # only with --signal

    asked = signal_stacks(roots)
    if not asked:
        click.echo("airmem: --signal: none of these is known to print its stacks on SIGQUIT; none was sent", err=True)
    for one in asked:
        where = f"its stacks are in {one.output or 'its standard output'}"
        click.echo(f"airmem: SIGQUIT to {one.component} {one.pid}: {one.problem or where}", err=True)


def _check(targets: tuple[str, ...], options: dict[str, Any]) -> None:
    """Refuse what makes no sense before any work is done. Errors: UsageProblem."""
    if options["native"] and not options["pause"]:
        raise UsageProblem("--native needs --pause", "Frames of C code can only be read from a process that stands.")
    acts = options["pause"] or options["with_signal"] or options["profile"]
    if options["bundle"] is not None and (targets or acts):
        remedy = "Leave TARGET, --pause, --signal and --profile away."
        raise UsageProblem("--from judges what was read then", remedy)
    if options["bundle"] is None and is_bundle(options["output"], options["form"]):
        check_bundle(options["output"], options["force"])
    else:
        check_output(options["output"], options["force"])


def _plan(options: dict[str, Any]) -> LookingPlan:
    from airmem.questions.hang import LookingPlan  # noqa: PLC0415

    return LookingPlan(
        look_count=options["looks"],
        window_seconds=options["window"],
        deadline_seconds=options["deadline"],
        job_count=options["jobs"],
        is_blocking=options["pause"],
        with_native=options["native"],
    )


def _bundle(roots: tuple[int, ...], stuck_after_seconds: float | None, options: dict[str, Any]) -> int:
    """Answer, and write the answer and all facts to a bundle; the text is shown as well."""
    from airmem.questions.bundles import gather  # noqa: PLC0415

    evidence = gather(roots, _plan(options), stuck_after_seconds, options["with_locals"], options["profile"])
    write_bundle(evidence, options["output"], options["force"])
    click.echo(f"airmem: wrote {options['output']}", err=True)
    assert evidence.report is not None  # noqa: S101  # gather raises instead
    return _show(evidence.report, {**options, "output": None})


def _show(report: HangReport, options: dict[str, Any]) -> int:
    if options["form"] == "json":
        from airmem.render import as_json  # noqa: PLC0415  # only the form that was asked for

        write(as_json.render(report), options["output"], options["force"])
    elif options["form"] == "html":
        from airmem.render.as_html import render_html  # noqa: PLC0415
        from airmem.views.hang import view_hang  # noqa: PLC0415

        page = render_html(view_hang(report, verbose=True), title="airmem hang-dump")
        write(page, options["output"], options["force"])
    else:
        from airmem.views.hang import view_hang  # noqa: PLC0415

        show(view_hang(report, options["verbose"]), options["output"], options["force"], options["no_color"])
    return status_of(report.findings, options["fail_on"])
