"""`airmem ps`: the services of this host, as trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from airmem.commands._options import answer_options, target_options
from airmem.commands._output import check_output, show, status_of, write
from airmem.questions.ps import answer_ps

if TYPE_CHECKING:
    from airmem.questions.sources import Source

EPILOG = """\b
Examples:
  airmem ps                          all services
  airmem ps scheduler                one tree
  airmem ps --all                    other Python programs, too
  airmem ps --format json
"""


@click.command("ps", short_help="Which services run here, as trees of processes.", epilog=EPILOG)
@target_options
@click.option("--all", "with_all", is_flag=True, help="Add Python programs that belong to no known service.")
@answer_options("text", "json", "csv")
def command(target: str | None, files: tuple[str, ...], with_all: bool, **options: Any) -> int:
    """Show which services run here, as trees of processes.

    Knows Airflow (2.9 to 3.3), Celery, gunicorn, uWSGI, uvicorn and multiprocessing. TARGET, a pid or a component
    (scheduler, celery-worker, gunicorn ...), shows that one tree. Reads /proc only: nothing is stopped, changed or
    sent. Secrets in command lines are replaced.
    """
    check_output(options["output"], options["force"])
    source = _open(files)
    report = answer_ps(_root_pid(target, source), with_all=with_all, source=source)
    if options["form"] == "json":
        from airmem.render import as_json  # noqa: PLC0415  # only the form that was asked for

        write(as_json.render(report), options["output"], options["force"])
    elif options["form"] == "csv":
        from airmem.render import as_csv  # noqa: PLC0415
        from airmem.views.ps import view_table  # noqa: PLC0415

        write(as_csv.render(view_table(report)), options["output"], options["force"])
    else:
        from airmem.views.ps import view_ps  # noqa: PLC0415

        show(view_ps(report), options["output"], options["force"], options["no_color"])
    return status_of(report.findings, options["fail_on"])


def _open(files: tuple[str, ...]) -> Source | None:
    if not files:
        return None
    from airmem.questions.sources import open_only  # noqa: PLC0415  # only with --from

    return open_only(files)


def _root_pid(target: str | None, source: Source | None) -> int | None:
    if target is None and source is None:
        return None
    from airmem.questions.targets import resolve_target  # noqa: PLC0415  # only with a TARGET

    return resolve_target(target, source)
