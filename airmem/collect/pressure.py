"""What control groups do to a process: frozen, short of memory."""

from __future__ import annotations

from contextlib import suppress

from airmem.collect.place import read_or_empty
from airmem.kernel.mountinfo import parse_mounts
from airmem.kernel.pressure import parse_flat, parse_full_ratio
from airmem.model.waiting import CgroupPressure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import ProcessFiles, Source

FROZEN_V1 = b"FROZEN"


class Pressures:
    """Reads control groups, each set of them once."""

    def __init__(self, reader: Source) -> None:
        self._reader = reader
        self._mountinfo = read_or_empty(reader, "/proc/self/mountinfo")
        self._known: dict[bytes, CgroupPressure | None] = {}

    def of(self, files: ProcessFiles) -> CgroupPressure | None:
        """Return what the groups of a process do to it, None if it is not told which they are."""
        membership = b""
        with suppress(OSError):
            membership = files.read("cgroup")
        if membership not in self._known:
            self._known[membership] = self._read(membership) if membership else None
        return self._known[membership]

    def _read(self, membership: bytes) -> CgroupPressure:
        paths = _paths(membership)
        memory_version, memory = _hierarchy(paths, "memory")
        freezer, freezer_folder, is_frozen = self._freezer(paths)
        memory_folder = self._folder(memory_version, "memory", memory)
        control = self._flat(memory_folder, "memory.oom_control") if memory_version == 1 else {}
        events = self._flat(memory_folder, "memory.events") if memory_version == 2 else {}
        is_stalled = None
        if b"under_oom" in control:
            is_stalled = bool(control[b"under_oom"] and control.get(b"oom_kill_disable"))
        pressure = self._file(memory_folder, "memory.pressure") if memory_version == 2 else b""
        return CgroupPressure(
            freezer_path=freezer,
            freezer_folder=freezer_folder,
            is_frozen=is_frozen,
            memory_path=memory,
            memory_folder=memory_folder,
            memory_full_ratio=parse_full_ratio(pressure),
            memory_high_count=events.get(b"high"),
            oom_kill_count=control.get(b"oom_kill", events.get(b"oom_kill")),
            is_oom_stalled=is_stalled,
        )

    def _freezer(self, paths: dict[str, str]) -> tuple[str, str, bool | None]:
        """Return (path, folder, frozen) of the group that freezes the process, in whichever hierarchy that is.

        A host may have both: version 1's freezer controller, and version 2, whose groups can all be frozen.
        """
        found = []
        for version, controller in ((1, "freezer"), (2, "")):
            path = paths.get(controller, "")
            folder = self._folder(version, controller, path)
            if path:
                found.append((path, folder, False if path == "/" else self._is_frozen(version, folder)))
        frozen = [one for one in found if one[2]]
        known = [one for one in found if one[2] is not None]
        return (frozen or known or found or [("", "", None)])[0]

    def _is_frozen(self, version: int, folder: str) -> bool | None:
        """Whether this group or one above it is frozen: both files tell what is in force. The root group never is."""
        if version == 1:
            state = self._file(folder, "freezer.state").strip()
            return state == FROZEN_V1 if state else None
        frozen = self._flat(folder, "cgroup.events").get(b"frozen")
        return None if frozen is None else bool(frozen)

    def _folder(self, version: int, controller: str, path: str) -> str:
        """Return the folder of a group as mounted here, empty if the mount does not reach it."""
        if not path:
            return ""
        kind = "cgroup" if version == 1 else "cgroup2"
        for root, mount_point, options in parse_mounts(self._mountinfo, kind):
            if version == 1 and controller not in options:
                continue
            above = root.rstrip("/")
            if (path == root or path.startswith(above + "/")) and ".." not in path.split("/"):
                return f"{mount_point.rstrip('/')}/{path[len(above) :].strip('/')}".rstrip("/")
        return ""

    def _flat(self, folder: str, name: str) -> dict[bytes, int]:
        return parse_flat(self._file(folder, name))

    def _file(self, folder: str, name: str) -> bytes:
        return read_or_empty(self._reader, f"{folder}/{name}") if folder else b""


def _paths(membership: bytes) -> dict[str, str]:
    """Return the path of each controller in /proc/PID/cgroup; that of version 2 under an empty name."""
    paths = {}
    for line in membership.decode(errors="surrogateescape").split("\n"):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if path:
            for controller in controllers.split(","):
                paths[controller] = path
    return paths


def _hierarchy(paths: dict[str, str], controller: str) -> tuple[int, str]:
    """Return (version, path): version 1's where the controller is in one, else that of version 2."""
    return (1, paths[controller]) if controller in paths else (2, paths.get("", ""))
