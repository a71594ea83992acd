"""uWSGI: a master that forks workers, routers and spoolers.

With --auto-procname the titles are `uWSGI master`, `uWSGI worker 1`, `uWSGI http 1`, after --procname-prefix's text;
without it every process has the master's command line.
"""

from __future__ import annotations

from airmem.model.service import ServiceRole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from airmem.model.listeners import Listeners
    from airmem.model.process import Process
    from airmem.services.family import Family

ROLES = {"master": "parent", "worker": "worker", "http": "router", "fastrouter": "router", "rawrouter": "router",
         "spooler": "spooler", "mule": "mule", "emperor": "parent", "legion": "helper", "carbon": "helper"}  # fmt: skip


def detect(family: Family, roles: Mapping[int, ServiceRole], listeners: Listeners) -> dict[int, ServiceRole]:  # noqa: ARG001
    """Return the roles of uWSGI's processes."""
    found: dict[int, ServiceRole] = {}
    for process in family.parents_first():
        is_below = process.parent_pid in found
        role = _titled(process, is_below) or _untitled(family, process, is_below, listeners)
        if role:
            found[process.pid] = ServiceRole(
                service="uwsgi", component="uwsgi", role=role, start_method=family.start_method(process)
            )
    return found


def _titled(process: Process, is_below: bool) -> str:
    prefix, mark, kind = (process.arguments[0] if len(process.arguments) == 1 else "").partition("uWSGI ")
    role = ROLES.get(kind.partition(" ")[0], "") if mark and "/" not in prefix else ""
    return "vassal" if role == "parent" and is_below else role


def _untitled(family: Family, process: Process, is_below: bool, listeners: Listeners) -> str:
    name, words = family.program(process)
    if name not in ("uwsgi", "uwsgi-core") and not name.startswith("uwsgi_python"):
        return ""
    if not is_below or not process.is_forked:
        return "vassal" if is_below else "parent"
    routed = _routed_port(words)
    if not routed:
        return "worker"
    ports = listeners.ports(process)
    return "helper" if ports is None else "router" if routed in ports else "worker"


def _routed_port(words: tuple[str, ...]) -> int:
    """Return the port that --http or --https names, on which a router listens; 0 if neither is given."""
    for word, after in zip(words, (*words[1:], ""), strict=True):
        name, separator, value = word.partition("=")
        if name in ("--http", "--https"):
            port = (value if separator else after).partition(",")[0].rpartition(":")[2]
            return int(port) if port.isascii() and port.isdigit() else 0
    return 0
