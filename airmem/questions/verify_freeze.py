"""What would gc.freeze save on my own imports?"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from airmem.errors import UsageProblem

if TYPE_CHECKING:
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
