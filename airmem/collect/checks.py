"""Health checks of somebody else's, and what they gave. Little is imported: a passing check must not pay for it."""

from __future__ import annotations

from airmem.probes.check import NOT_EXECUTABLE, NOT_FOUND, TIMED_OUT, Ended, Outcome, run_check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.health import HealthAnswer

__all__ = ["NOT_EXECUTABLE", "NOT_FOUND", "TIMED_OUT", "Ended", "Outcome", "ask_first", "run_check", "without_secrets"]

MISSING = 404


def without_secrets(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command line with secrets replaced."""
    from airmem.kernel.cmdline import redact  # noqa: PLC0415  # only a failed check is written down

    return redact(arguments)


def ask_first(urls: tuple[str, ...], limit_seconds: float) -> HealthAnswer:
    """Return the answer of the first URL that does not say 404, else the last one's. Errors: UsageProblem."""
    from airmem.probes.health import ask_health  # noqa: PLC0415  # only built-in checks ask

    for url in urls[:-1]:
        answer = ask_health(url, limit_seconds)
        if answer.status != MISSING:
            return answer
    return ask_health(urls[-1], limit_seconds)
