"""The second pass of `airmem imports --explain`: the same imports under memray, and its capture read."""

from __future__ import annotations

import os
import sys
import sysconfig
from tempfile import TemporaryDirectory

from airmem.collect.allocations import CaptureCollector, collect_states
from airmem.errors import NotMeasurable
from airmem.model.import_cost import AllocationSite, ImportFailure, TracedImports
from airmem.probes.importer import ImportRequest, run_tracer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.allocation import ViewSums

MODULE_FRAME = "<import "
"""How the file of each module's own frame begins (payloads/import_tracer.py)."""


def collect_trace(
    python: str, request: ImportRequest, origin: str, deadline_seconds: float, environment: dict[str, str]
) -> tuple[ImportFailure | None, TracedImports]:
    """Return how the imports failed, None if they did not, and what memray saw; sites are of the files at `origin`.

    The target's own memray is used; where it has none, airmem's own if that fits its Python. Nothing is installed.
    Errors: NotMeasurable when there is no memray, or its capture cannot be read.
    """
    with TemporaryDirectory(prefix="airmem-imports-") as folder:
        path = os.path.join(folder, "imports.bin")
        trace = run_tracer(
            python,
            request,
            out=path,
            borrowed=sysconfig.get_path("platlib"),
            deadline_seconds=deadline_seconds,
            environment=environment,
        )
        if not trace.version:
            version = ".".join(map(str, sys.version_info[:2]))
            cause = f"{python} has no memray, and airmem's does not fit it: {trace.said}"
            raise NotMeasurable(
                cause, f"Install memray there, or airmem with the same Python (this one has {version})."
            )
        if trace.failure is not None:
            return trace.failure, _traced((), {}, trace.version, trace.hidden, 0)
        reader = sys.executable if trace.is_borrowed else python
        modules = _read(path, MODULE_FRAME, reader)
        lines = _read(path, folder_of(origin), reader)
    own: dict[str, int] = {}
    for one in modules.causes:
        name = one.place.file.removeprefix(MODULE_FRAME).removesuffix(">")
        own[name] = own.get(name, 0) + one.size_bytes
    return None, _traced(sum_sites(lines), own, trace.version, trace.hidden, modules.total_bytes)


def folder_of(origin: str) -> str:
    """Return where the files of a module are: the folder of a package, else its one file."""
    return os.path.dirname(origin) + os.sep if os.path.basename(origin).startswith("__init__.") else origin


def sum_sites(view: ViewSums) -> tuple[AllocationSite, ...]:
    """Return the lines of a view with what each holds, whatever package it held it for."""
    sums: dict[tuple[str, str, int], list[int]] = {}
    for cause in view.causes:
        place = cause.place
        if place.file:
            found = sums.setdefault((place.function, place.file, place.line), [0, 0])
            found[0] += cause.size_bytes
            found[1] += cause.allocation_count
    return tuple(
        AllocationSite(function=function, path=file, line=line, size_bytes=size, allocation_count=count)
        for (function, file, line), (size, count) in sums.items()
    )


def _read(path: str, application: str, python: str) -> ViewSums:
    (facts,) = CaptureCollector(["leaked"], [application], python).collect(collect_states([path]))
    if not facts.views:
        obstacle = facts.problem or facts.state.obstacle or "it has no allocations"
        raise NotMeasurable(f"memray's capture of the imports cannot be read: {obstacle}", "Ask again.")
    return facts.views[0]


def _traced(
    sites: tuple[AllocationSite, ...], own: dict[str, int], version: str, hidden: tuple[str, ...], total_bytes: int
) -> TracedImports:
    return TracedImports(own=own, sites=sites, total_bytes=total_bytes, hidden=hidden, memray_version=version)
