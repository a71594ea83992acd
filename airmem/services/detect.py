"""Which process is what: asks the detectors whose words occur in a command line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airmem.model.process import Process
    from airmem.model.service import ServiceRole

DETECTORS: dict[str, tuple[str, ...]] = {}
"""Module name -> words of which one must occur in some command line before the module is even imported."""


def detect_roles(processes: Sequence[Process]) -> dict[int, ServiceRole]:
    """Return the role of each process that a detector knows, by pid; parents must be among `processes`."""
    titles = "\n".join(process.title for process in processes)
    roles: dict[int, ServiceRole] = {}
    for name, words in DETECTORS.items():
        if any(word in titles for word in words):
            module = import_module(f"airmem.services.{name}")
            roles.update(module.detect(processes, roles))
    return roles
