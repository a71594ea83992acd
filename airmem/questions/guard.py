"""Is it healthy? Somebody's check, or one of Airflow's own; and the evidence when it is not.

A passing check must cost hardly more than without airmem: what a failing one needs is imported then.
"""

from __future__ import annotations

from typing import NamedTuple

from airmem.collect import checks, clock
from airmem.collect.checks import Ended
from airmem.errors import AirmemError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.collect.looking_plan import LookingPlan
    from airmem.model.verdict import HangReport
    from airmem.questions.bundles import Evidence

__all__ = ["CHECKS", "CheckResult", "Ended", "Gathering", "run_airflow_check", "run_program_check"]

CHECKS = ("scheduler", "monitor", "heartbeat")
FAILED = 1
STALE_SECONDS = 30.0
"""Airflow's own thresholds for scheduler, triggerer and dag-processor are 30 s each."""

SHARE_OF_DEADLINE = 0.65
"""So much of the time for evidence goes into looking; the rest is for thinking and writing."""


class CheckResult(NamedTuple):
    """How a check ended. `words` say what was found, empty for somebody's program, which speaks for itself.

    `is_missing`: there was nothing to run, so that nothing is known. `name` is what was run, without secrets.
    """

    status: int
    seconds: float
    name: str
    words: str = ""
    timed_out: bool = False
    is_missing: bool = False


def run_program_check(argv: tuple[str, ...], limit_seconds: float) -> CheckResult:
    """Run somebody's check. Errors: checks.Ended when airmem itself is told to end."""
    try:
        outcome = checks.run_check(argv, limit_seconds)
    except OSError as problem:
        status = checks.NOT_FOUND if isinstance(problem, FileNotFoundError) else checks.NOT_EXECUTABLE
        words = f"{argv[0]} cannot be run: {problem.strerror}"
        return CheckResult(status=status, seconds=0.0, name=argv[0], words=words, is_missing=True)
    if not outcome.status:
        return CheckResult(status=0, seconds=outcome.seconds, name=argv[0])
    return CheckResult(
        status=outcome.status,
        seconds=outcome.seconds,
        name=" ".join(checks.without_secrets(argv)),
        words=f"it gave no answer within {limit_seconds:g} s" if outcome.timed_out else "",
        timed_out=outcome.timed_out,
    )


def run_airflow_check(
    name: str, url: str | None, components: tuple[str, ...], most_seconds: float, limit_seconds: float
) -> CheckResult:
    """Ask Airflow for its health: `name` is one of CHECKS. Errors: UsageProblem for a wrong URL."""
    from airmem.services import airflow_health  # noqa: PLC0415  # only built-in checks need it

    began = clock.monotonic_seconds()
    default = (airflow_health.SCHEDULER_URL,) if name == "scheduler" else airflow_health.MONITOR_URLS
    answer = checks.ask_first((url,) if url else default, limit_seconds)
    if name == "scheduler":
        is_healthy, words = airflow_health.judge_scheduler(answer)
    elif name == "monitor":
        is_healthy, words = airflow_health.judge_monitor(answer, components)
    else:
        is_healthy, words = airflow_health.judge_heartbeat(answer, components, clock.now_seconds(), most_seconds)
    seconds = clock.monotonic_seconds() - began
    return CheckResult(status=0 if is_healthy else FAILED, seconds=seconds, name=name, words=words)


class Gathering:
    """Gathers evidence; what there is can be had at any moment, also when time is up in the middle."""

    def __init__(self, target: str | None, deadline_seconds: float) -> None:
        from airmem.collect.hang_source import HangRecord  # noqa: PLC0415  # only when a check has failed
        from airmem.questions.bundles import Surroundings  # noqa: PLC0415

        self._target = target
        self._deadline_seconds = deadline_seconds
        self._record = HangRecord()
        self._report: HangReport | None = None
        self._surroundings = Surroundings()
        self._problem = "time was up before anything could be judged"

    def run(self) -> None:
        """Look, judge, and read what else belongs to it; whatever fails, the rest is kept."""
        from airmem.collect.hang_source import LiveHang  # noqa: PLC0415
        from airmem.questions.bundles import collect_surroundings  # noqa: PLC0415
        from airmem.questions.hang import answer_hang  # noqa: PLC0415

        until = clock.monotonic_seconds() + self._deadline_seconds
        roots: tuple[int, ...] = ()
        try:
            roots = find_roots(self._target)
            self._report = answer_hang(roots, self._plan(), source=LiveHang(self._record))
            self._problem = ""
        except AirmemError as fault:
            self._problem = f"{fault.cause}. {fault.remedy}"
        self._surroundings = collect_surroundings(roots, until)

    def _plan(self) -> LookingPlan:
        from airmem.questions.hang import LookingPlan  # noqa: PLC0415

        return LookingPlan(
            window_seconds=min(1.0, self._deadline_seconds / 8),
            deadline_seconds=self._deadline_seconds * SHARE_OF_DEADLINE,
            pyspy_seconds=min(3.0, self._deadline_seconds / 3),
            extra_look_count=4,
        )

    @property
    def evidence(self) -> Evidence:
        """What was gathered so far."""
        from airmem.questions.bundles import Evidence  # noqa: PLC0415

        return Evidence(
            record=self._record,
            report=self._report,
            surroundings=self._surroundings,
            problem=self._problem,
        )


def find_roots(target: str | None) -> tuple[int, ...]:
    """Return the process that is meant, or without a target the root of every service here.

    Errors: UsageProblem when no service is found, those of resolve_target.
    """
    from airmem.questions.targets import resolve_all, resolve_target  # noqa: PLC0415

    return (resolve_target(target),) if target is not None else resolve_all()
