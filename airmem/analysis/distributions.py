"""Which installed distribution a file of a traced program belongs to."""

from __future__ import annotations

from airmem.services.airflow_parts import airflow_distribution, airflow_kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LIBRARIES = ("/site-packages/", "/dist-packages/")
STANDARD_FOLDERS = ("/lib/python3", "/lib64/python3")
STANDARD_LIBRARY = "Python and its standard library"
GENERATED = "generated code"


class Distributions:
    """Looks files up in the RECORDs of the folders they are in, each path once.

    `records` maps a folder (.../site-packages) to its files, by their path in it, and the distribution of each.
    Where a folder's records are not there (a capture from elsewhere), the first part of the path stands for it.
    """

    def __init__(self, records: Mapping[str, Mapping[str, str]]) -> None:
        self._records = records
        self._tops = {folder: _tops(files) for folder, files in records.items()}
        self._known: dict[str, tuple[str, str]] = {}

    def of(self, path: str) -> tuple[str, str]:
        """Return (distribution, kind) of a file; kind is core, task-sdk, provider, dag, own, stdlib or package."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._look_up(path)
        return known

    def _look_up(self, path: str) -> tuple[str, str]:
        folder, inside = split_library(path)
        if folder:
            name = self._records.get(folder, {}).get(inside) or self._tops.get(folder, {}).get(_top(inside))
            name = name or airflow_distribution(inside) or _top(inside)
            return name, airflow_kind(name) or "package"
        if not path or path.startswith("<frozen ") or any(part in path for part in STANDARD_FOLDERS):
            return STANDARD_LIBRARY, "stdlib"
        if path.startswith("<"):
            return GENERATED, "stdlib"
        before, dags, _ = path.rpartition("/dags/")
        if dags:
            return f"{before}/dags", "dag"
        return path.rpartition("/")[0] or ".", "own"


def split_library(path: str) -> tuple[str, str]:
    """Return the folder of installed packages that a path is in, and the path in it; empty for others."""
    for marker in LIBRARIES:
        at = path.rfind(marker)
        if at >= 0:
            return path[: at + len(marker) - 1], path[at + len(marker) :]
    return "", ""


def _top(inside: str) -> str:
    return inside.partition("/")[0].removesuffix(".py")


def _tops(files: Mapping[str, str]) -> dict[str, str]:
    """Return the distribution of each first part that only one has: airflow, google and opentelemetry have several."""
    found: dict[str, str] = {}
    shared = set()
    for part, name in {(inside.partition("/")[0], name) for inside, name in files.items()}:
        top = part.removesuffix(".py")
        if found.setdefault(top, name) != name:
            shared.add(top)
    return {top: name for top, name in found.items() if top not in shared}
