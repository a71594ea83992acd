"""memray in a target's own Python: which Python that is, and the command lines that start and end a recording."""

from __future__ import annotations

import json
import os
import pwd
import signal
import sys
from contextlib import suppress

from airmem.errors import NotMeasurable
from airmem.model.trace import TracePython
from airmem.probes import traces
from airmem.probes.runner import run_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.trace import TraceMode, TracePlan

PAYLOADS = os.path.join(os.path.dirname(__file__), "payloads")
ATTACHER = os.path.join(PAYLOADS, "attach_memray.py")
ASK_SECONDS = 60.0
PYTHON_FACTS = ("executable", "version", "memray_version", "airflow_version")
STOP_SIGNAL = int(signal.SIGRTMAX) - 5
"""On which a process that was launched ends its recording: neither glibc, Airflow nor gunicorn uses it."""


def ask_python(
    executable: str, options: tuple[str, ...] = (), user: tuple[int, int] | None = None
) -> TracePython | None:
    """Return what a Python tells of itself, None when this is none or it does not answer.

    `user` is whom it belongs to, as (uid, gid), None for airmem's own.
    """
    line = [executable, *options, os.path.join(PAYLOADS, "python_facts.py")]
    environment = None
    if user is not None:
        line = as_user(user, line)
        environment = environment_of(user[0])
    try:
        done = run_program(line, deadline_seconds=ASK_SECONDS, environment=environment, cwd="/")
    except NotMeasurable:
        return None
    try:
        facts = json.loads(done.stdout.strip().rpartition(b"\n")[2])
        return TracePython(**{name: str(facts[name]) for name in PYTHON_FACTS}) if done.status == 0 else None
    except (ValueError, TypeError, KeyError):
        return None


def as_user(user: tuple[int, int], line: list[str]) -> list[str]:
    """Return a command line that runs another one as a user, given as (uid, gid)."""
    return [sys.executable, "-I", os.path.join(PAYLOADS, "as_user.py"), *map(str, user), *line]


def environment_of(user_id: int) -> dict[str, str]:
    """Return the environment for a program of another user: user packages are looked for at home."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    with suppress(KeyError):
        kept["HOME"] = pwd.getpwuid(user_id).pw_dir
    return kept


def launch_line(plan: TracePlan, folder: str, owns_group: bool) -> list[str]:
    """Return what runs a Python program with memray recording it into a folder; in a group of its own, or airmem's."""
    settings = {
        "folder": folder,
        "label": plan.label,
        "host": os.uname().nodename,
        "notes": os.path.join(folder, traces.WRITERS),
        "airmem_pid": os.getpid(),
        "stop_signal": STOP_SIGNAL,
        "owns_group": owns_group,
        "is_aggregated": plan.mode.is_aggregated,
        "with_native": plan.mode.with_native,
        "with_python_allocators": plan.mode.with_python_allocators,
        "follows_forks": plan.mode.follows_forks,
    }
    payload = os.path.join(PAYLOADS, "run_traced.py")
    return [plan.python.executable, *plan.options, payload, json.dumps(settings), *plan.words]


def attach_line(python: str, mode: TraceMode, output: str, pid: int) -> list[str]:
    """Return the command line of `memray attach` without a duration.

    With one, the target would wait for the time to be up before it exits: memray's timer is no daemon thread.
    """
    flags = ["--native"] * mode.with_native + ["--trace-python-allocators"] * mode.with_python_allocators
    flags += ["--aggregate"] * mode.is_aggregated + ["--follow-fork"] * mode.follows_forks
    return [python, ATTACHER, "attach", "--method", "gdb", *flags, "-o", output, str(pid)]


def detach_line(python: str, pid: int) -> list[str]:
    """Return the command line of `memray detach`."""
    return [python, ATTACHER, "detach", "--method", "gdb", str(pid)]


def supervisor_line(airmem_python: str, plan_path: str) -> list[str]:
    """Return the command line of the supervisor of an attached memray."""
    return [airmem_python, "-I", os.path.join(PAYLOADS, "attach_supervisor.py"), plan_path]


def debugger_environment(base: dict[str, str]) -> dict[str, str]:
    """Return the environment for memray and its debugger: no symbols from the network while the target stands still."""
    return {**base, "DEBUGINFOD_URLS": "", "PYTHONDONTWRITEBYTECODE": "1"}
