"""Who listens on which port."""

from __future__ import annotations

from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.process import Process


class Listeners(Protocol):
    """Tells on which TCP ports a process listens; handed to detectors, which ask only about processes alike."""

    def ports(self, process: Process) -> tuple[int, ...] | None:
        """Return the ports, ascending; empty if it listens on none, None if that cannot be read."""
