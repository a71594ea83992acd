"""What a component of Airflow imports when it starts, found the way its command line finds it; nothing is started.

Runs inside import_recorder.py, with its hooks in place: each name is asked for when the one before it is imported.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself would be measured
    from collections.abc import Iterator

APPLICATIONS = {"api-server": "airflow.api_fastapi.main", "webserver": "airflow.www.app"}
"""What the server of a component imports by name once it runs (uvicorn's argument in api_server_command)."""


def modules_of(component: str) -> Iterator[str]:
    """Yield the modules that `airflow COMPONENT` imports before its work begins."""
    yield "airflow.__main__"
    yield command_module(component)
    if component == "scheduler":
        yield from executor_modules()
    if component in APPLICATIONS:
        yield APPLICATIONS[component]


def command_module(component: str) -> str:
    """Return the module that Airflow's table of commands names for a component. Raises LookupError."""
    commands = sys.modules["airflow.cli.cli_parser"].airflow_commands
    by_name = {one.name: one for one in commands if hasattr(one, "func")}
    if component not in by_name:
        raise LookupError(f"this Airflow has no command {component}; it has {', '.join(sorted(by_name))}")
    function = by_name[component].func
    for cell in getattr(function, "__closure__", None) or ():  # lazy_load_command keeps the path there
        if isinstance(cell.cell_contents, str) and cell.cell_contents.startswith("airflow."):
            return cell.cell_contents.rpartition(".")[0]
    return str(function.__module__)


def executor_modules() -> Iterator[str]:
    """Yield the modules of the executors that the configuration names."""
    conf = sys.modules["airflow.configuration"].conf
    known = sys.modules["airflow.executors.executor_loader"].ExecutorLoader.executors
    for name in conf.get("core", "executor").split(","):
        path = known.get(name.strip(), name.strip().rpartition(":")[2])
        if "." in path:
            yield path.rpartition(".")[0]
