"""What the processes of a snapshot listen on, for the detectors of services."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.process import Process
    from airmem.model.waiting import HangSnapshot


class SnapshotListeners:
    """Answers what ports a process listens on (model.listeners.Listeners), from what was read of its sockets."""

    def __init__(self, snapshot: HangSnapshot) -> None:
        self._snapshot = snapshot

    def ports(self, process: Process) -> tuple[int, ...] | None:
        """Return the TCP ports that a process listens on, None if its descriptors could not be read."""
        one = self._snapshot.processes.get(process.pid)
        if one is None or one.descriptors is None:
            return None
        sockets = [self._snapshot.sockets.get(each.inode or 0) for each in one.descriptors.values()]
        return tuple(
            sorted({each.local_port_id for each in sockets if each and each.state == "LISTEN" and each.local_port_id})
        )
