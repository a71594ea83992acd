"""multiprocessing: what the standard library's fork, forkserver and spawn start, below any Python program.

Spawned processes, the fork server and the resource tracker tell by the code after `-c`; forked ones have their
parent's command line (a thing that a program which was executed never has by chance together with PF_FORKNOEXEC).
"""

from __future__ import annotations

from airmem.model.service import ServiceRole
from airmem.services.family import is_interpreter, runs_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from airmem.model.listeners import Listeners
    from airmem.model.process import Process
    from airmem.services.family import Family

KINDS = {"multiprocessing.spawn": "worker", "multiprocessing.resource_tracker": "resource-tracker"}


def detect(family: Family, roles: Mapping[int, ServiceRole], listeners: Listeners) -> dict[int, ServiceRole]:  # noqa: ARG001
    """Return the roles of multiprocessing's processes and of the programs that started them.

    Below a component that another detector found they belong to that component.
    """
    found: dict[int, ServiceRole] = {}
    for process in family.parents_first():
        parent = family.parent(process)
        role = "" if process.pid in roles or parent is None else _role(family, process, parent)
        if not role or parent is None:
            continue
        above = found.get(parent.pid) or roles.get(parent.pid)
        if above is None:
            if not process_is_python(parent):
                continue
            above = found[parent.pid] = _place("multiprocessing", "multiprocessing", "parent", family, parent)
        elif role == "worker" and process.is_forked and parent.pid in roles:
            continue  # what a known component forks is for its own detector to name
        found[process.pid] = _place(above.service, above.component, role, family, process)
    return found


def process_is_python(process: Process) -> bool:
    """Whether a process runs a Python interpreter, by the path that it was started as."""
    return bool(process.arguments) and is_interpreter(process.arguments[0])


def _role(family: Family, process: Process, parent: Process) -> str:
    if process.is_forked:
        return "worker" if process.arguments == parent.arguments and process_is_python(process) else ""
    if family.program(process)[0] != "-c":
        return ""
    if family.is_forkserver(process):
        return "forkserver"
    return next((role for module, role in KINDS.items() if runs_code(process.arguments, module)), "")


def _place(service: str, component: str, role: str, family: Family, process: Process) -> ServiceRole:
    return ServiceRole(service=service, component=component, role=role, start_method=family.start_method(process))
