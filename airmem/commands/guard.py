"""`airmem guard`: a health check that leaves evidence when it fails, before somebody restarts the service."""

from __future__ import annotations

import click

from airmem.commands._options import FILE, Duration, TargetName
from airmem.errors import AirmemError, UsageProblem
from airmem.questions.guard import CHECKS, STALE_SECONDS, Ended, run_airflow_check, run_program_check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from airmem.questions.bundles import EvidenceFolder
    from airmem.questions.guard import CheckResult, Gathering

BY_SIGNAL = 128
MOST_CAUSES = 3
RESERVE_SECONDS = 0.8
"""Of the deadline: for writing what there is when time is up."""

EPILOG = """\b
Examples:
  airmem guard -- airflow jobs check --job-type SchedulerJob --local
  airmem guard --target scheduler --check scheduler
  airmem guard --check monitor --component scheduler --component dag_processor
  airmem guard --check heartbeat --max-age 60 --bundle-dir /evidence --keep 5
  airmem guard --every 30 --target 4242 -- curl -fsS --max-time 5 http://localhost:8000/
"""


@click.command(
    "guard",
    short_help="A health check that keeps the evidence when it fails.",
    epilog=EPILOG,
    context_settings={"ignore_unknown_options": False},
)
@click.argument("program", nargs=-1, metavar="[-- CHECK...]", type=click.UNPROCESSED)
@click.option("--check", type=click.Choice(CHECKS), help="One of Airflow's own checks instead of a program.")
@click.option("--component", "components", multiple=True, metavar="NAME", help="Only this one, for monitor, heartbeat.")
@click.option("--url", metavar="URL", help="Where to ask; by default Airflow's own ports on localhost.")
@click.option(
    "--max-age",
    type=Duration(),
    default=STALE_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Of a heartbeat, at most.",
)
@click.option(
    "--check-timeout",
    type=Duration(),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="A check that takes longer has failed, and is ended.",
)
@click.option(
    "--target",
    type=TargetName(),
    metavar="TARGET",
    help="Whose evidence: a pid or a component; by default every service here.",
)
@click.option(
    "--bundle-dir", type=FILE, metavar="DIR", help="Where bundles go; by default the first place that can be written."
)
@click.option(
    "--keep", type=click.IntRange(1, 1000), default=3, show_default=True, metavar="N", help="How many to keep."
)
@click.option(
    "--cooldown",
    type=Duration(with_zero=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="No new bundle so soon after the last one; 0: one for each failure.",
)
@click.option(
    "--deadline",
    type=Duration(),
    default=8.0,
    show_default=True,
    metavar="SECONDS",
    help="For evidence; it must fit into what the caller waits for.",
)
@click.option("--every", type=Duration(), metavar="SECONDS", help="Check again and again, until told to end.")
def command(program: tuple[str, ...], **options: Any) -> int:
    """Run a health check; when it fails, write a bundle of evidence, then end with the check's own exit status.

    For an exec probe of Kubernetes, a systemd unit, cron. CHECK is any program; 0 is healthy. A bundle holds what
    `airmem hang-dump -o` writes. Nothing is stopped, and a check that passes costs hardly more than without.
    """
    if program and options["check"]:
        raise UsageProblem("two checks: a program after --, and --check", "Give one of them; two need two guards.")
    if not program and not options["check"]:
        raise UsageProblem("give a check: a program after --, or --check NAME", "airmem guard --help shows examples")
    _check_target(options["target"])
    check = _check_of(program, options)
    try:
        return (_once if options["every"] is None else _again_and_again)(check, options)
    except Ended as ended:
        return BY_SIGNAL + ended.number


def _check_target(target: str | None) -> None:
    """Say before the incident that its evidence would miss the target. Errors: UsageProblem for what is none."""
    if target is None:
        return
    from airmem.questions.targets import check_target  # noqa: PLC0415

    obstacle = check_target(target)
    if obstacle:
        _say(f"{obstacle}; without it a failed check leaves no evidence of it")


def _check_of(program: tuple[str, ...], options: dict[str, Any]) -> Callable[[], CheckResult]:
    limit = options["check_timeout"]
    if program:
        return lambda: run_program_check(program, limit)
    return lambda: run_airflow_check(
        options["check"], options["url"], tuple(options["components"]), options["max_age"], limit
    )


def _once(check: Callable[[], CheckResult], options: dict[str, Any]) -> int:
    """Check, keep evidence if need be, and return the check's status. Errors: Ended."""
    result = check()
    if result.words:
        _say(result.words)
    if result.status and not result.is_missing:
        _keep_evidence(result, options)
    return result.status


def _again_and_again(check: Callable[[], CheckResult], options: dict[str, Any]) -> int:
    import gc  # noqa: PLC0415

    from airmem.questions.repeat import every  # noqa: PLC0415

    gc.enable()  # this process may live for months
    for _ in every(options["every"]):
        _once(check, options)
    return 0


def _keep_evidence(result: CheckResult, options: dict[str, Any]) -> None:
    """Write a bundle, unless one was written just now or is being written; whatever fails is told, never raised."""
    from airmem.questions.bundles import EvidenceFolder  # noqa: PLC0415  # a passing check needs none of it

    try:
        folder = EvidenceFolder(options["bundle_dir"])
        age = folder.seconds_since_last()
        if age is not None and age < options["cooldown"]:
            return _say(f"the last bundle is {age:.0f} s old, no new one before --cooldown {options['cooldown']:g}")
        if not folder.lock():
            return _say(f"another guard writes a bundle in {folder.path} just now")
        _gather_and_write(folder, result, options)
    except AirmemError as problem:
        _say(f"no evidence: {problem.cause}. {problem.remedy}")
    except OSError as problem:
        _say(f"no evidence: {problem.strerror or problem}")
    return None


def _gather_and_write(folder: EvidenceFolder, result: CheckResult, options: dict[str, Any]) -> None:
    from airmem.commands._deadline import within  # noqa: PLC0415
    from airmem.questions.guard import Gathering  # noqa: PLC0415

    gathering = Gathering(options["target"], max(0.5, options["deadline"] - RESERVE_SECONDS))
    written: list[str] = []

    def in_time() -> None:
        gathering.run()
        written.append(_write(folder, gathering, result, options["keep"], is_late=False))

    def late() -> None:
        if not written:
            written.append(_write(folder, gathering, result, options["keep"], is_late=True))

    within(max(0.3, options["deadline"] - RESERVE_SECONDS / 2), in_time, late)
    _say(f"the check failed with {result.status}; evidence: {written[0]}")
    if gathering.evidence.problem:
        _say(f"nothing could be judged: {gathering.evidence.problem}")
    report = gathering.evidence.report
    for cause in report.root_causes[:MOST_CAUSES] if report is not None else ():
        _say(cause.summary)


def _write(folder: EvidenceFolder, gathering: Gathering, result: CheckResult, keep: int, is_late: bool) -> str:
    import json  # noqa: PLC0415

    from airmem.commands._bundle import RAW, members_of, raw_members_of, with_contents  # noqa: PLC0415
    from airmem.questions.bundles import archive  # noqa: PLC0415

    members = {"check.json": (json.dumps(result._asdict(), indent=2) + "\n").encode("ascii")}
    members.update((raw_members_of if is_late else members_of)(gathering.evidence))
    packed = archive(with_contents(members))
    if len(packed) > folder.most_bytes:
        packed = archive(with_contents({name: raw for name, raw in members.items() if not name.startswith(RAW)}))
    return folder.add(packed, keep)


def _say(words: str) -> None:
    from airmem.render.escape import escape  # noqa: PLC0415

    click.echo(f"airmem guard: {escape(words)}", err=True)
