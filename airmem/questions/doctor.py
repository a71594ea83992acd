"""What can I measure here?"""

from __future__ import annotations

from airmem.collect import clock
from airmem.collect.environment import collect_environment
from airmem.collect.host import collect_host
from airmem.collect.source import open_source
from airmem.collect.target import collect_refused, collect_target
from airmem.errors import NotMeasurable
from airmem.model.environment import DoctorReport
from airmem.model.report import Head
from airmem.rules.environment import check_abilities, check_target, limit_abilities


def answer_doctor(root_pid: int | None = None) -> DoctorReport:
    """Return what each command can measure here, of one process and its descendants if it is named.

    A process that refuses everything is an answer, not an error. Errors: ProcessGone; NotMeasurable when /proc does not
    even tell about airmem itself.
    """
    began, taken_at_seconds = clock.monotonic_seconds(), clock.now_seconds()
    source = open_source()
    try:
        environment = collect_environment(source)
    except (OSError, ValueError) as problem:
        raise NotMeasurable(f"/proc does not tell about airmem itself: {problem}", "Mount /proc.") from problem
    target = None if root_pid is None else collect_target(source, root_pid)
    abilities = check_abilities(environment, target)
    if root_pid is not None:
        refused, count, of_count = collect_refused(source, root_pid)
        if refused is not None:
            abilities = limit_abilities(abilities, check_abilities(environment, refused), count, of_count)
    return DoctorReport(
        head=Head(
            command="doctor",
            taken_at_seconds=taken_at_seconds,
            took_seconds=clock.monotonic_seconds() - began,
            host=collect_host(source),
        ),
        environment=environment,
        target=target,
        abilities=abilities,
        gaps=(),
        findings=check_target(target, abilities),
    )
