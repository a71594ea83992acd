"""Apache Airflow 2.9 to 3.3: components by command line or title, their children by title, parent and behavior.

setproctitle leaves one argument. Components are mostly untitled (`python .../airflow scheduler`), and so are many of
the processes that they fork, which then have the component's own command line: the health server of a scheduler, a
DAG processor's parsers, a triggerer's runner. Titles go stale: a Celery pool worker keeps the last task's.
"""

from __future__ import annotations

from airmem.model.service import ServiceRole
from airmem.services import gunicorn
from airmem.services.airflow_titles import Place, read_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from airmem.model.listeners import Listeners
    from airmem.model.process import Process
    from airmem.services.family import Family

COMMANDS = frozenset(
    {"scheduler", "dag-processor", "api-server", "webserver", "triggerer", "standalone", "internal-api", "kerberos"}
)
GROUPS: dict[tuple[str, ...], str] = {
    ("celery", "worker"): "celery-worker",
    ("celery", "flower"): "celery-flower",
    ("edge", "worker"): "edge-worker",
    ("tasks", "run"): "task",
}
POD_MODULE = "airflow.sdk.execution_time.execute_workload"
TWINS = {"dag-processor": "parser", "triggerer": "runner", "task": "task"}
"""Component -> what a child with the component's own command line is; others are told by what they listen on."""

RUNNERS = ("worker", "supervisor")
WITH_LOGS = ("scheduler", "triggerer", "celery-worker")
EXECUTORS = ("scheduler", "celery-worker", "edge-worker", "task")


def detect(family: Family, roles: Mapping[int, ServiceRole], listeners: Listeners) -> dict[int, ServiceRole]:
    """Return the roles of Airflow's processes, gunicorn's and Celery's among them."""
    found: dict[int, ServiceRole] = {}
    for process in family.parents_first():
        parent = family.parent(process)
        above = found.get(parent.pid) if parent is not None else None
        place = _place(family, process, above, roles, listeners)
        if place is not None:
            component, role, activity = place
            found[process.pid] = ServiceRole(
                service="airflow",
                component=component,
                role=role,
                start_method=family.start_method(process),
                activity=activity,
            )
    return found


def _place(
    family: Family,
    process: Process,
    above: ServiceRole | None,
    roles: Mapping[int, ServiceRole],
    listeners: Listeners,
) -> Place | None:
    """Return component, role and activity of one process, whose parent has the role `above`."""
    titled = read_title(process)
    if titled is not None:
        return _titled(family, process, titled, above)
    other = roles.get(process.pid)
    if other is not None and other.service in ("gunicorn", "celery"):
        return _borrowed(family, process, other, above)
    component = _component(family, process)
    if above is None:
        return _root(family, process, component, listeners) if component else None
    if component and component != above.component:
        return _nested(component, above)
    return _multiprocessing_part(family, process, above, bool(component), listeners) or _task_part(process, above)


def _titled(family: Family, process: Process, titled: Place, above: ServiceRole | None) -> Place:
    """Return the place of a process with a title of Airflow's."""
    component, role, activity = titled
    is_supervisor = component == "task" and role == "worker"
    if is_supervisor and not any(not child.is_zombie for child in family.children(process.pid)):
        activity = ""  # Celery's pool worker keeps the title when the task has ended
    if above is None:
        return (component, "parent", activity) if is_supervisor else (component, role, activity)
    if role == "parent":
        return component, "parent" if above.component != component else "helper", activity
    if role == "worker" and (above.role == "worker" or above.component == "task"):
        return above.component, "task", titled[2]  # it has its supervisor's title until it knows what to run
    return above.component if component in ("task", "log-server") or role == "parser" else component, role, activity


def _nested(component: str, above: ServiceRole) -> Place:
    """Return the place of one component's command line below another: standalone's, or a task in its own process."""
    if component != "task":
        return component, "parent", ""
    return above.component, "task" if above.role in ("helper", "supervisor") else "supervisor", above.activity


def _multiprocessing_part(
    family: Family, process: Process, above: ServiceRole, is_twin: bool, listeners: Listeners
) -> Place | None:
    """Return the place of an untitled process that a component started with multiprocessing or os.fork."""
    component = above.component
    if family.is_forkserver(process):
        return component, "forkserver", ""
    if above.role == "forkserver" or (component == "scheduler" and family.start_method(process) == "spawn"):
        return component, _listening(process, component, listeners), ""
    if is_twin and process.is_forked and above.role == "parent":
        return component, TWINS.get(component) or _listening(process, component, listeners), ""
    return None


def _borrowed(family: Family, process: Process, other: ServiceRole, above: ServiceRole | None) -> Place | None:
    """Return the place of a gunicorn or Celery process that belongs to Airflow, None if it does not."""
    if other.service == "celery":
        if above is None:
            return (other.component, other.role, "") if _is_airflow_celery(family, process) else None
        is_task = above.role == "worker" and other.role == "worker" and process.is_forked
        return (above.component, "task", "") if is_task else (other.component, other.role, "")
    kind, name = gunicorn.read_title(process)
    component = _gunicorn_component(family, process, name)
    if above is None or (component and component != above.component):
        return (component, "parent" if kind == "master" else other.role, "") if component else None
    if above.role == "log-server" or (kind == "master" and above.component in WITH_LOGS):
        return above.component, "log-server", ""
    return above.component, "manager" if kind == "master" else other.role, ""


def _gunicorn_component(family: Family, process: Process, name: str) -> str:
    if name == "airflow-webserver":
        return "webserver"
    if name == "airflow-internal-api":
        return "internal-api"
    titles = (read_title(child) for child in family.children(process.pid))
    return "api-server" if any(place is not None and place[0] == "api-server" for place in titles) else ""


def _is_airflow_celery(family: Family, process: Process) -> bool:
    """Whether a Celery worker is Airflow's: its title says so, or one of its children is Airflow's."""
    title = process.title
    if "(celery worker" in title or "airflow.providers.celery" in title or "airflow.executors.celery" in title:
        return True
    return any(
        read_title(child) is not None or family.program(child)[0] == "airflow" for child in family.children(process.pid)
    )


def _component(family: Family, process: Process) -> str:
    """Return the component that an untitled command line runs, empty if none."""
    name, words = family.program(process)
    if name == POD_MODULE:
        return "task"
    if name != "airflow":
        return ""
    plain = tuple(word for word in words if not word.startswith("-"))[:2]
    if plain[:1] and plain[0] in COMMANDS:
        return plain[0]
    return "log-server" if plain[:1] == ("serve-logs",) else GROUPS.get(plain, "")


def _root(family: Family, process: Process, component: str, listeners: Listeners) -> Place:
    """Return the place of a component without an Airflow parent: the component, or a child that outlived it."""
    if component == "scheduler" and process.is_forked and not family.children(process.pid):
        role = _listening(process, component, listeners)
        return component, role if role == "health-server" else "parent", ""
    return component, "parent", ""


def _listening(process: Process, component: str, listeners: Listeners) -> str:
    """Return the role of an untitled child: a scheduler's that listens on TCP answers health checks."""
    return "health-server" if component == "scheduler" and listeners.ports(process) else "helper"


def _task_part(process: Process, above: ServiceRole) -> Place | None:
    """Return the place of what a worker or supervisor runs: a task that has no title yet, or runs as another user."""
    name = process.arguments[0].rpartition("/")[2] if process.arguments else ""
    role = ""
    if above.role in RUNNERS and above.component in EXECUTORS:
        is_task = not process.arguments and process.is_forked
        role = "helper" if name == "sudo" else "task" if is_task else ""
    elif above.role == "helper" and above.activity and name.startswith("python"):
        role = "task"
    return (above.component, role, above.activity) if role else None
