"""uvicorn: one process, or with --workers or --reload a parent that spawns them (they share nothing with it)."""

from __future__ import annotations

from airmem.model.service import ServiceRole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from airmem.model.listeners import Listeners
    from airmem.model.process import Process
    from airmem.services.family import Family


def detect(family: Family, roles: Mapping[int, ServiceRole], listeners: Listeners) -> dict[int, ServiceRole]:  # noqa: ARG001
    """Return the roles of uvicorn's own processes; multiprocessing's detector names those that it spawns."""
    return {
        process.pid: ServiceRole(
            service="uvicorn", component="uvicorn", role="parent", start_method=family.start_method(process)
        )
        for process in family.parents_first()
        if _is_uvicorn(family, process) and not (process.is_forked and _is_uvicorn(family, family.parent(process)))
    }


def _is_uvicorn(family: Family, process: Process | None) -> bool:
    if process is None:
        return False
    name, words = family.program(process)
    return (name == "uvicorn" and bool(words)) or (name == "fastapi" and words[:1] in (("run",), ("dev",)))
