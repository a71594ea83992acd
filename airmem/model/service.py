"""What a process is in a service that airmem knows."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class ServiceRole:
    """A process's place: `service` (airflow), `component` (scheduler), `role` in it (parent, worker, log-server).

    `start_method` is fork, forkserver, spawn or exec, as multiprocessing names them; `activity` is what its title
    says that it does now (`<idle>`, a task instance's id), empty if nothing.
    """

    service: str
    component: str
    role: str
    start_method: str
    activity: str = ""
