"""Celery: a worker's main process with its pool, beat and flower.

With setproctitle installed the titles are `[celeryd: HOST:MainProcess] -active- (ARGUMENTS)`,
`[celeryd: HOST:ForkPoolWorker-1]` and `[celery beat] ...`; without it (or with NOSETPS set) the pool's processes have
the main process's command line.
"""

from __future__ import annotations

from airmem.model.service import ServiceRole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from airmem.model.listeners import Listeners
    from airmem.model.process import Process
    from airmem.services.family import Family

COMPONENTS = {"worker": "celery-worker", "beat": "celery-beat", "flower": "celery-flower"}
WITH_VALUE = frozenset({"-A", "--app", "-b", "--broker", "--result-backend", "--loader", "--config", "--workdir"})
TITLE = "[celeryd: "
BEAT_TITLE = "[celery beat]"


def detect(family: Family, roles: Mapping[int, ServiceRole], listeners: Listeners) -> dict[int, ServiceRole]:  # noqa: ARG001
    """Return the roles of Celery's processes."""
    found: dict[int, ServiceRole] = {}
    for process in family.parents_first():
        place = _titled(process, process.parent_pid in found) or _untitled(family, process, found)
        if place:
            found[process.pid] = ServiceRole(
                service="celery", component=place[0], role=place[1], start_method=family.start_method(process)
            )
    return found


def _titled(process: Process, is_below: bool) -> tuple[str, str] | None:
    title = process.arguments[0] if len(process.arguments) == 1 else ""
    if title.startswith(BEAT_TITLE):
        return ("celery-worker", "beat") if is_below else ("celery-beat", "parent")  # worker --beat
    if not title.startswith(TITLE):
        return None
    name = title[len(TITLE) :].partition("]")[0].rpartition(":")[2]
    if name == "MainProcess":
        return "celery-worker", "parent"
    return "celery-worker", "worker" if "PoolWorker" in name else "beat" if name == "Beat" else "helper"


def _untitled(family: Family, process: Process, found: dict[int, ServiceRole]) -> tuple[str, str] | None:
    name, words = family.program(process)
    component = COMPONENTS.get(subcommand(words)) if name == "celery" else None
    if component is None:
        return None
    above = found.get(process.parent_pid)
    return component, "worker" if above is not None and process.is_forked else "parent"


def subcommand(words: tuple[str, ...]) -> str:
    """Return which of Celery's services a command line starts: worker, beat or flower; empty if none."""
    before = ""
    for word in words:
        if word in COMPONENTS and before not in WITH_VALUE:
            return word
        before = word
    return ""
