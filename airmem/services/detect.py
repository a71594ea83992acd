"""Which process is what: asks the detectors whose words occur in a command line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from airmem.model.listeners import Listeners
    from airmem.model.process import Process
    from airmem.model.service import ServiceRole
    from airmem.services.family import Family

DETECTORS: dict[str, tuple[str, ...]] = {
    "gunicorn": ("gunicorn",),
    "uwsgi": ("uwsgi", "uWSGI"),
    "uvicorn": ("uvicorn", "fastapi"),
    "celery": ("celery",),
    "airflow": ("airflow",),
    "multiprocessing": ("python", "pypy"),
}
"""Module name -> words of which one must occur in some command line before the module is even imported.

Each module has `detect(family, roles, listeners) -> dict[pid, ServiceRole]`. They are asked in this order and see
what those before them found, so that Airflow's can tell its own gunicorn and Celery; the last answer counts.
"""


class _Unknown:
    """Stands for Listeners where nobody can look."""

    def ports(self, process: Process) -> tuple[int, ...] | None:  # noqa: ARG002  # the protocol's signature
        """Return None: unknown."""
        return None


def detect_roles(processes: Sequence[Process], listeners: Listeners | None = None) -> dict[int, ServiceRole]:
    """Return the role of each process that a detector knows, by pid, and of all that descend from one.

    Parents are looked for among `processes`. Where an untitled child can only be told by the port that it listens
    on, `listeners` is asked; without it, such a child is a `helper`.
    """
    titles = "\n".join([process.title for process in processes])
    wanted = [name for name, words in DETECTORS.items() if any(word in titles for word in words)]
    roles: dict[int, ServiceRole] = {}
    if not wanted:
        return roles
    from airmem.services.family import Family  # noqa: PLC0415  # most trees of other programs need none of it

    family = Family(processes)
    for name in wanted:
        module = __import__(f"airmem.services.{name}", fromlist=["detect"])  # importlib would be loaded for this
        roles.update(module.detect(family, roles, listeners or _Unknown()))
    return _with_descendants(family, roles) if roles else roles


def _with_descendants(family: Family, roles: dict[int, ServiceRole]) -> dict[int, ServiceRole]:
    """Add what no detector knows below what one knows: children (a shell, a program that a task runs)."""
    from airmem.model.service import ServiceRole  # noqa: PLC0415

    for process in family.parents_first():
        above = roles.get(process.parent_pid)
        if above is not None and process.pid not in roles and process.pid != process.parent_pid:
            roles[process.pid] = ServiceRole(
                service=above.service,
                component=above.component,
                role="child",
                start_method=family.start_method(process),
            )
    return roles
