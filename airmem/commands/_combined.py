"""Shows several captures together."""

from __future__ import annotations

import click

from airmem.commands._output import show, status_of, write
from airmem.questions.combined import answer_combined
from airmem.render.escape import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def show_combined(files: tuple[str, ...], target: str | None, question: dict[str, Any], options: dict[str, Any]) -> int:
    """Show the answers of several files, name those that have none, and return the exit status."""
    report, problems = answer_combined(files, target, **question)
    for problem in problems:
        click.echo(f"airmem: {escape(problem.cause)}", err=True)
    if options["form"] == "json":
        from airmem.render import as_json  # noqa: PLC0415  # only the form that was asked for

        write(as_json.render(report), options["output"], options["force"])
    elif options["form"] == "csv":
        from airmem.render import as_csv  # noqa: PLC0415
        from airmem.views.combined import view_combined_table  # noqa: PLC0415

        write(as_csv.render(view_combined_table(report)), options["output"], options["force"])
    else:
        from airmem.views.combined import view_combined  # noqa: PLC0415

        document = view_combined(report, options["verbose"], options["top"])
        show(document, options["output"], options["force"], options["no_color"])
    return status_of(tuple(finding for one in report.reports for finding in one.findings), options["fail_on"])
