"""`airmem hang-dump`: why does it stand still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from airmem.commands._options import Duration, answer_options
from airmem.commands._output import check_output, show, status_of, write

if TYPE_CHECKING:
    from airmem.model.verdict import HangReport

EPILOG = """\b
Examples:
  airmem hang-dump scheduler                  the scheduler and all its workers
  airmem hang-dump                            every service that is found here
  airmem hang-dump 4242 --stuck-after 10m     call hung what has waited for more than ten minutes
  airmem hang-dump 4242 --format json
"""


@click.command("hang-dump", epilog=EPILOG)
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
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
    default=60.0,
    show_default=True,
    metavar="DURATION",
    help="Call a wait hung when it has lasted longer.",
)
@answer_options("text", "json")
@click.option("-v", "--verbose", is_flag=True, help="Every thread with its whole stack.")
def command(targets: tuple[str, ...], **options: Any) -> int:
    """Say why processes stand still: what each thread waits for, who holds it, and what all of it hangs on.

    TARGET is a pid or a component (scheduler, celery-worker, gunicorn ...) and means its whole tree; without one every
    service that is found is looked at. Several looks at /proc, then py-spy without stopping anything.
    """
    check_output(options["output"], options["force"])
    from airmem.questions.hang import LookingPlan, answer_hang  # noqa: PLC0415  # --help needs none of it
    from airmem.questions.targets import resolve_target  # noqa: PLC0415

    plan = LookingPlan(
        look_count=options["looks"],
        window_seconds=options["window"],
        deadline_seconds=options["deadline"],
        job_count=options["jobs"],
    )
    report = answer_hang(
        tuple(resolve_target(target) for target in targets), plan, stuck_after_seconds=options["stuck_after"]
    )
    return _show(report, options)


def _show(report: HangReport, options: dict[str, Any]) -> int:
    if options["form"] == "json":
        from airmem.render import as_json  # noqa: PLC0415  # only the form that was asked for

        write(as_json.render(report), options["output"], options["force"])
    else:
        from airmem.views.hang import view_hang  # noqa: PLC0415

        show(view_hang(report, options["verbose"]), options["output"], options["force"], options["no_color"])
    return status_of(report.findings, options["fail_on"])
