"""Where a snapshot is taken."""

from __future__ import annotations

from airmem.kernel.container import parse_container_id
from airmem.model.snapshot import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import Source


def collect_host(reader: Source) -> Host:
    """Return the facts that tell this place from others; what cannot be read is empty."""
    return Host(
        boot_id=_text(reader, "/proc/sys/kernel/random/boot_id"),
        hostname=_text(reader, "/proc/sys/kernel/hostname"),
        kernel=_text(reader, "/proc/sys/kernel/osrelease"),
        pid_namespace=_link(reader, "/proc/self/ns/pid"),
        container_id=collect_container_id(reader, "self"),
    )


def collect_container_id(reader: Source, pid: int | str) -> str:
    """Return the id of the container that a process runs in, or an empty text."""
    return parse_container_id(
        _text(reader, f"/proc/{pid}/cgroup").encode(errors="surrogateescape"),
        _text(reader, f"/proc/{pid}/mountinfo").encode(errors="surrogateescape"),
    )


class ContainerIds:
    """Looks up the containers of many processes: those in one control group are in one container."""

    def __init__(self, reader: Source) -> None:
        self._reader = reader
        self._known: dict[str, str] = {}

    def of(self, pid: int) -> str:
        """Return the id of the container that a process runs in, or an empty text."""
        group = _text(self._reader, f"/proc/{pid}/cgroup")
        if group and group not in self._known:
            self._known[group] = collect_container_id(self._reader, pid)
        return self._known.get(group, "")


def _text(reader: Source, path: str) -> str:
    try:
        return reader.read(path).decode(errors="surrogateescape").strip()
    except OSError:
        return ""


def _link(reader: Source, path: str) -> str:
    try:
        return reader.link(path)
    except OSError:
        return ""
