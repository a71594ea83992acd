"""What `airmem pss` does with its options, whoever has read them."""

from __future__ import annotations

from airmem.commands._output import check_output, show, status_of, write
from airmem.errors import UsageProblem
from airmem.model.severity import SEVERITIES
from airmem.questions.pss import DEPTHS, answer_pss, refuse_unread
from airmem.questions.targets import resolve_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from airmem.model.report import PssReport
    from airmem.model.selection import Selection
    from airmem.questions.sources import Source

FORMS = ("text", "json", "csv")
SORTS = ("pid", "rss", "pss", "uss", "swap", "swap_pss", "parent", "siblings", "outside")
PLAIN: dict[str, tuple[str, tuple[str, ...]]] = {
    "--depth": ("depth", DEPTHS),
    "--exclusive": ("exclusive", ()),
    "--mappings": ("mappings", ()),
    "--sort": ("sort", SORTS),
    "--format": ("form", FORMS),
    "--fail-on": ("fail_on", SEVERITIES),
    "--no-color": ("no_color", ()),
    "--verbose": ("verbose", ()),
    "-v": ("verbose", ()),
}
"""Option -> its name, and the values it can have, none for a flag: those that airmem reads itself."""

DEFAULTS: dict[str, Any] = {
    "depth": "auto",
    "exclusive": False,
    "mappings": False,
    "role": None,
    "name": None,
    "user": None,
    "min_pss": None,
    "sort": None,
    "top": None,
    "earlier": None,
    "form": "text",
    "output": None,
    "force": False,
    "fail_on": None,
    "no_color": False,
    "verbose": False,
}


def answer(
    target: str | None = None,
    files: tuple[str, ...] = (),
    every: float | None = None,
    duration: float | None = None,
    **given: Any,
) -> int:
    """Answer, write and return the exit status. Errors: AirmemError."""
    options = {**DEFAULTS, **given}
    if duration is not None and every is None:
        raise UsageProblem("--for needs --every", "Example: --every 10 --for 5m")
    if options["mappings"] and (options["exclusive"] or options["depth"] not in ("auto", "mappings")):
        raise UsageProblem("--mappings reads smaps, not pages or sums", "Ask twice: once with --mappings, once without")
    if options["sort"] in ("parent", "siblings", "outside") and (
        options["mappings"] or options["depth"] not in ("auto", "pages")
    ):
        raise UsageProblem(f"--sort {options['sort']} needs the depth pages", "Leave --depth and --mappings away")
    if options["exclusive"] and options["depth"] not in ("auto", "pages"):
        raise UsageProblem("--exclusive needs the depth pages", "Leave --depth away, or give --depth pages")
    if every is not None and options["output"]:
        raise UsageProblem("--every writes to the terminal or a pipe", "Redirect it: airmem pss ... --every 10 > file")
    if options["earlier"] is not None and options["form"] == "csv":
        raise UsageProblem("--format csv has no table of changes", "Compare with --format json (key diff) or text.")
    check_output(options["output"], options["force"])
    if files and every is not None:
        raise UsageProblem("--every looks again; a file does not change", "Leave --every away, or --from.")
    question = _question(options)
    if len(files) > 1:
        from airmem.commands._combined import show_combined  # noqa: PLC0415  # seldom more than one

        return show_combined(files, target, question, options)
    source = _open(files)
    question.update(root_pid=resolve_target(target, source), source=source)
    if every is None:
        return _finish(_show(answer_pss(**question), options, None), options)
    return _repeat(question, every, duration, options)


def _open(files: tuple[str, ...]) -> Source | None:
    if not files:
        return None
    from airmem.questions.sources import open_only  # noqa: PLC0415  # only with --from

    return open_only(files)


def _question(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "depth": options["depth"],
        "with_exclusive": options["exclusive"],
        "with_mappings": options["mappings"],
        "selection": _selection(options),
        "earlier": _read_earlier(options["earlier"]),
    }


def _selection(options: dict[str, Any]) -> Selection | None:
    names = ("role", "name", "user", "min_pss", "sort", "top")
    if all(options[name] is None for name in names):
        return None
    from airmem.model.selection import Selection  # noqa: PLC0415  # only with a filter
    from airmem.questions.targets import resolve_user  # noqa: PLC0415

    sort = options["sort"]
    return Selection(
        role=options["role"],
        name=options["name"],
        user_id=None if options["user"] is None else resolve_user(options["user"]),
        least_pss_bytes=options["min_pss"],
        sort=sort if sort in (None, "pid") else f"{sort}_bytes",
        top_count=None if options["mappings"] else options["top"],
    )


def _read_earlier(file: BinaryIO | None) -> dict[str, Any] | None:
    if file is None:
        return None
    import json  # noqa: PLC0415

    remedy = "Make one with: airmem pss TARGET --format json -o before.json"
    try:
        document = json.load(file)
    except (OSError, ValueError, RecursionError) as problem:
        raise UsageProblem(f"{file.name} is no JSON document: {problem}", remedy) from problem
    if not isinstance(document, dict):
        raise UsageProblem(f"{file.name} is no answer of airmem", remedy)
    return document


def _show(report: PssReport, options: dict[str, Any], before: PssReport | None) -> PssReport:
    if options["form"] == "json":
        from airmem.render import as_json  # noqa: PLC0415

        write(as_json.render(report), options["output"], options["force"])
    elif options["form"] == "csv":
        from airmem.render import as_csv  # noqa: PLC0415
        from airmem.views.pss import view_table  # noqa: PLC0415

        write(as_csv.render(view_table(report)), options["output"], options["force"])
    else:
        from airmem.views.pss import view_pss  # noqa: PLC0415

        document = view_pss(report, options["verbose"], options["top"], before)
        show(document, options["output"], options["force"], options["no_color"])
    return report


def _repeat(question: dict[str, Any], every: float, duration: float | None, options: dict[str, Any]) -> int:
    import gc  # noqa: PLC0415

    from airmem.questions.repeat import repeat  # noqa: PLC0415

    gc.enable()  # this process may live for hours
    before = None
    for report in repeat(lambda: answer_pss(**question), every, duration):
        before = _show(report, options, before)
    return 0 if before is None else _finish(before, options)


def _finish(report: PssReport, options: dict[str, Any]) -> int:
    """Return the exit status; what was asked for and could not be read is an error although much was shown."""
    refuse_unread(report)
    return status_of(report.findings, options["fail_on"])
