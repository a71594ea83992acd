"""`airmem imports`: what imports cost, which of them, and what goes without them."""

from __future__ import annotations

import sys

import click

from airmem.commands._options import FILE, Duration, Size, answer_options
from airmem.commands._output import check_output, show, status_of, write
from airmem.errors import UsageProblem
from airmem.questions.imports import COMPONENTS, ImportsQuestion, answer_imports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airmem.model.import_cost import ImportsReport

OVER_BUDGET = 1

EPILOG = """\b
Examples:
  airmem imports pandas                              what importing pandas costs
  airmem imports my_dags.common --workers 32         and if 32 forked workers copy it
  airmem imports --component scheduler --python /opt/airflow/bin/python
  airmem imports my_dags.common --without pandas     predicted, and really saved
  airmem imports my_dags.common --explain pandas     by allocation, with memray
  airmem imports my_dags.common --compare main HEAD  two git revisions of your code
  airmem imports my_dags.common --budget 120M        for CI: exit 1 when it costs more
"""


def _component(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    name = value.lower().replace("_", "-")
    if name not in COMPONENTS:
        raise click.BadParameter(f"{value!r} is none of {', '.join(COMPONENTS)}")
    return name


@click.command("imports", short_help="What imports cost, and what can be left out.", epilog=EPILOG)
@click.argument("modules", nargs=-1, metavar="[MODULE]...")
@click.option("--python", type=FILE, metavar="PATH", help="The interpreter or virtual environment to import with.")
@click.option(
    "--component", callback=_component, metavar="NAME", help="What a component of Airflow imports at its start."
)
@click.option("--workers", "worker_count", type=click.IntRange(1), metavar="N", help="What it costs N forked workers.")
@click.option("--without", multiple=True, metavar="MODULE", help="Measure again with it blocked; may be repeated.")
@click.option("--explain", metavar="MODULE", help="A second pass under memray: one module by allocation.")
@click.option("--compare", nargs=2, metavar="A B", help="Two modules, interpreters or git revisions side by side.")
@click.option("--budget", "budget_bytes", type=Size(), metavar="SIZE", help="Exit 1 when the growth is more than this.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the first N rows of each table.")
@click.option(
    "--deadline", type=Duration(), default=120.0, show_default=True, metavar="DURATION", help="For each child."
)
@answer_options("text", "json", "csv")
@click.option("-v", "--verbose", is_flag=True, help="Every branch of the tree, every row.")
def command(modules: tuple[str, ...], top: int | None, verbose: bool, **options: Any) -> int:
    """Show what importing MODULEs costs: memory, time, by whom, and what would go without it.

    A fresh child of the interpreter imports them, which runs their code; nothing is written beside it. What imports
    first pays for what all need, so besides own and inclusive memory there is RETAINED: up to what goes if nobody
    imports a module any more.
    """
    _check(modules, options)
    check_output(options["output"], options["force"])
    _announce(modules, options)
    report = answer_imports(
        ImportsQuestion(
            modules=modules,
            component=options["component"],
            python=options["python"],
            worker_count=options["worker_count"],
            without=options["without"],
            explain=options["explain"],
            compare=options["compare"] or None,
            budget_bytes=options["budget_bytes"],
            deadline_seconds=options["deadline"],
        )
    )
    _show(report, options, verbose, top)
    if report.budget is not None and report.budget.is_exceeded:
        return OVER_BUDGET
    return status_of(report.findings, options["fail_on"])


def _check(modules: tuple[str, ...], options: dict[str, Any]) -> None:
    if not modules and not options["component"] and not options["compare"]:
        raise UsageProblem("nothing to import", "Name a MODULE, or a component of Airflow: --component scheduler")
    if modules and options["component"]:
        raise UsageProblem("a MODULE and --component are two questions", "Ask for one of them.")
    for name in (*modules, *options["without"], *([options["explain"]] if options["explain"] else [])):
        if not all(part.isidentifier() for part in name.split(".")) or name.endswith(".py"):
            remedy = "Name a module as an import statement does: my_dags.common, without .py and /"
            raise UsageProblem(f"{name!r} is no name of a module", remedy)


def _announce(modules: tuple[str, ...], options: dict[str, Any]) -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        name = options["component"] or ", ".join(modules) or " and ".join(options["compare"])
        click.echo(f"importing {name} in a child, each at most {options['deadline']:.0f} s ...", err=True)


def _show(report: ImportsReport, options: dict[str, Any], verbose: bool, top: int | None) -> None:
    if options["form"] == "json":
        from airmem.render import as_json  # noqa: PLC0415  # only the form that was asked for

        write(as_json.render(report), options["output"], options["force"])
    elif options["form"] == "csv":
        from airmem.render import as_csv  # noqa: PLC0415
        from airmem.views.imports import view_table  # noqa: PLC0415

        write(as_csv.render(view_table(report)), options["output"], options["force"])
    else:
        from airmem.views.imports import view_imports  # noqa: PLC0415

        show(view_imports(report, verbose, top), options["output"], options["force"], options["no_color"])
