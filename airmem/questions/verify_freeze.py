"""What would gc.freeze save on my own imports?"""

from __future__ import annotations

import re
import sys

from airmem.errors import UsageProblem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.cow import CowReport
    from airmem.model.freeze_trial import FreezeTrial

DEADLINE_SECONDS = 300.0
"""For all imports and three forks. Importing all of Airflow takes 10 s on a slow machine."""


def answer_verify_freeze(preload: str, python: str | None = None) -> FreezeTrial:
    """Return what a collection in a worker copies with and without gc.freeze, after importing modules.

    `preload` are the modules' names, separated by commas; `python` the interpreter, airmem's own by default.
    Errors: UsageProblem when there is no module or it is none; NotMeasurable as collect_freeze_trial says.
    """
    modules = [one.strip() for one in preload.split(",") if one.strip()]
    if not modules:
        raise UsageProblem("--preload names no module", "Example: --preload sqlalchemy,myservice.app")
    for one in modules:
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", one):
            raise UsageProblem(f"{one} is not the name of a module", "Example: --preload sqlalchemy,myservice.app")
    from airmem.collect.freeze_trial import collect_freeze_trial  # noqa: PLC0415  # loads subprocess

    return collect_freeze_trial(python or sys.executable, modules, DEADLINE_SECONDS)


def report_freeze_trial(trial: FreezeTrial) -> CowReport:
    """Return a trial as an answer of its own, about no tree."""
    from airmem.collect import clock  # noqa: PLC0415
    from airmem.collect.host import collect_host  # noqa: PLC0415
    from airmem.collect.source import open_source  # noqa: PLC0415
    from airmem.model.cow import CowReport, Forecast  # noqa: PLC0415
    from airmem.model.report import Head  # noqa: PLC0415

    taken_at_seconds = clock.now_seconds() - trial.took_seconds
    host = collect_host(open_source())
    return CowReport(
        head=Head(command="cow", taken_at_seconds=taken_at_seconds, took_seconds=trial.took_seconds, host=host),
        root_pid=None,
        parent_pid=None,
        component=None,
        collector=None,
        free_block_bytes=None,
        workers=(),
        forecast=Forecast(at_risk_bytes=None, worker_count=0),
        coverage=None,
        remedies=(),
        gaps=(),
        findings=(),
        verify_freeze=trial,
    )
