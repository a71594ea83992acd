"""Has a Python import modules, fork with and without gc.freeze, collect, and measure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import as_file, files

from airmem.errors import NotMeasurable
from airmem.model.freeze_trial import FreezeTrial, FreezeWay
from airmem.probes.programs import require_python
from airmem.probes.runner import Completed, run_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_OUTPUT_BYTES = 1 << 20
LAST_LINES = 3


def collect_freeze_trial(python: str, modules: Sequence[str], deadline_seconds: float) -> FreezeTrial:
    """Return what a full collection copies in workers forked after these imports, by each way to fork.

    `python` is the path of an interpreter in which the modules can be imported; their code runs as the caller, in
    processes that end with this call. Errors: ProgramMissing; NotMeasurable for an import that fails, a program that
    takes too long, ends early, or is no CPython with a lock of its own.
    """
    require_python(python)
    with as_file(files("airmem.probes.payloads") / "freeze_trial.py") as payload:
        done = run_program(
            [python, str(payload), *modules], deadline_seconds=deadline_seconds, max_output_bytes=MOST_OUTPUT_BYTES
        )
    answer = _parse(done, python, deadline_seconds)
    _check(answer, python)
    ways = tuple(
        FreezeWay(
            name=str(one["name"]), frozen_count=int(one["frozen_count"]), copied_bytes=max(0, int(one["copied_bytes"]))
        )
        for one in answer["ways"]
    )
    copied = {one.name: one.copied_bytes for one in ways}
    return FreezeTrial(
        python=python,
        python_version=str(answer["python_version"]),
        modules=tuple(modules),
        anonymous_bytes=int(answer["anonymous_bytes"]),
        ways=ways,
        saves_bytes=max(0, copied["as_it_is"] - copied["freeze"]),
        took_seconds=done.seconds,
    )


def _parse(done: Completed, python: str, deadline_seconds: float) -> dict[str, Any]:
    if done.timed_out:
        cause = f"the imports were not done after {deadline_seconds:.0f} s, and were ended"
        raise NotMeasurable(cause, "Leave away the modules that wait for something when they are imported.")
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        ended = f"signal {-done.status}" if done.status < 0 else f"status {done.status}"
        last = tuple(done.stderr.decode(errors="replace").splitlines()[-LAST_LINES:])
        cause = f"{python} ended with {ended} before it had measured"
        raise NotMeasurable(cause, "See what it wrote; --python chooses another.", last) from None


def _check(answer: dict[str, Any], python: str) -> None:
    if answer.get("failed"):
        failed = answer["failed"]
        cause = f"{python} cannot import {failed['module']}: {failed['kind']}: {failed['text']}"
        raise NotMeasurable(cause, "Name the Python in which it can be imported: --python PATH.")
    if answer["implementation"] != "cpython" or answer["is_free_threaded"]:
        kind = "free-threaded" if answer["is_free_threaded"] else str(answer["implementation"])
        cause = f"{python} is {kind}: its collector does not write as the one of CPython with the GIL does"
        raise NotMeasurable(cause, "Name another: --python PATH.")
    if answer.get("missing"):
        raise NotMeasurable(f"{python} cannot measure it: {answer['missing']}", "It needs Python 3.7 and Linux 4.14.")
