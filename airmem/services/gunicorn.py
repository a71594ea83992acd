"""gunicorn: an arbiter (its title says master) that forks workers.

With setproctitle installed the titles are `gunicorn: master [NAME]` and `gunicorn: worker [NAME]`, with words before
them where an application adds some (`[ready] gunicorn: worker [airflow-webserver]`); without it the workers have the
arbiter's command line.
"""

from __future__ import annotations

from airmem.model.service import ServiceRole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from airmem.model.listeners import Listeners
    from airmem.model.process import Process
    from airmem.services.family import Family

MARK = "gunicorn: "


def detect(family: Family, roles: Mapping[int, ServiceRole], listeners: Listeners) -> dict[int, ServiceRole]:  # noqa: ARG001
    """Return the roles of gunicorn's processes."""
    found: dict[int, ServiceRole] = {}
    for process in family.parents_first():
        above = found.get(process.parent_pid)
        role = _titled_role(process)
        if role:
            role = "worker" if role == "worker" else "parent" if above is None and role == "master" else role
        elif family.program(process)[0] == "gunicorn" and len(process.arguments) > 1:
            role = "worker" if above is not None and process.is_forked else "parent"
        if role:
            found[process.pid] = ServiceRole(
                service="gunicorn", component="gunicorn", role=role, start_method=family.start_method(process)
            )
    return found


def read_title(process: Process) -> tuple[str, str]:
    """Return what gunicorn's title says: kind (master, worker, dirty-arbiter) and application; empty if untitled."""
    if len(process.arguments) != 1:
        return "", ""
    title = process.arguments[0].removeprefix("[ready] ")
    if not title.startswith(MARK):
        return "", ""
    kind, _, name = title[len(MARK) :].partition(" [")
    return kind.strip(), name.rstrip("] ")


def _titled_role(process: Process) -> str:
    kind, _ = read_title(process)
    return kind if kind in ("", "master", "worker") else "helper"
