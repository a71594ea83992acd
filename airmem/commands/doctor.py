"""`airmem doctor`: what can be measured here, and what would help."""

from __future__ import annotations

import click

from airmem.commands._options import TargetName, answer_options
from airmem.commands._output import check_output, show, status_of, write
from airmem.questions.doctor import answer_doctor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\b
Examples:
  airmem doctor                           what this place allows
  airmem doctor scheduler                 what can be measured of this process
  airmem doctor 4242 --fail-on warning    exit 1 if its PSS cannot be read
  airmem doctor 4242 --format json
"""


@click.command("doctor", short_help="What can be measured here, and what would help.", epilog=EPILOG)
@click.argument("target", required=False, type=TargetName())
@answer_options("text", "json")
@click.option("-v", "--verbose", is_flag=True, help="Every fact that was found, and snippets to make a remedy last.")
def command(target: str | None, verbose: bool, **options: Any) -> int:
    """Show what can be measured here, per command; each no with its cause and a line to copy.

    TARGET, a pid or a component (scheduler, celery-worker, gunicorn ...), asks about that one process. Everything is
    tried, not guessed: files are opened as the commands would open them. Nothing is stopped, changed or sent, and no
    program is run.
    """
    check_output(options["output"], options["force"])
    report = answer_doctor(_root_pid(target))
    if options["form"] == "json":
        from airmem.render import as_json  # noqa: PLC0415  # only the form that was asked for

        write(as_json.render(report), options["output"], options["force"])
    else:
        from airmem.views.doctor import view_doctor  # noqa: PLC0415

        show(view_doctor(report, verbose), options["output"], options["force"], options["no_color"])
    return status_of(report.findings, options["fail_on"])


def _root_pid(target: str | None) -> int | None:
    if target is None:
        return None
    from airmem.questions.targets import resolve_target  # noqa: PLC0415  # only with a TARGET

    return resolve_target(target)
