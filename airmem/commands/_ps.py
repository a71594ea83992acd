"""What `airmem ps` does with its options, whoever has read them."""

from __future__ import annotations

from airmem.commands._output import check_output, show, status_of, write
from airmem.model.severity import SEVERITIES
from airmem.questions.ps import answer_ps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airmem.questions.sources import Source

FORMS = ("text", "json", "csv")
PLAIN: dict[str, tuple[str, tuple[str, ...]]] = {
    "--all": ("with_all", ()),
    "--format": ("form", FORMS),
    "--fail-on": ("fail_on", SEVERITIES),
    "--no-color": ("no_color", ()),
}
"""Option -> its name, and the values it can have, none for a flag: those that airmem reads itself."""

DEFAULTS: dict[str, Any] = {"form": "text", "output": None, "force": False, "fail_on": None, "no_color": False}


def answer(target: str | None = None, files: tuple[str, ...] = (), with_all: bool = False, **given: Any) -> int:
    """Answer, write and return the exit status. Errors: AirmemError."""
    options = {**DEFAULTS, **given}
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
