"""Where airmem runs and as whom: what it takes to say what would help here."""

from __future__ import annotations

from contextlib import suppress

from airmem.collect.host import collect_container_id
from airmem.collect.processes import hidepid_level, own_process_id
from airmem.kernel.container import parse_place, parse_unit
from airmem.kernel.privileges import parse_identity
from airmem.kernel.status import parse_status
from airmem.model.environment import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import Source
    from airmem.model.environment import Identity

FIRST_USER_NAMESPACE = "user:[4026531837]"
FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""The numbers are fixed (PROC_USER_INIT_INO and PROC_PID_INIT_INO, include/linux/proc_ns.h)."""

MARKS = {"podman": "/run/.containerenv", "docker": "/.dockerenv"}
"""Files that engines leave in a container. They stay in an image that a virtual machine boots from, so that they count
only outside the first pid namespace."""

SETPRIV = ("/usr/bin/setpriv", "/bin/setpriv")
"""Where util-linux puts it; asked of the source, since a remedy is for the place that a capture is from."""

SHORT_ID = 12
"""So many digits of a container's id are what Docker names it by, and its hostname by default."""


def collect_place(reader: Source) -> Place:
    """Return where airmem runs and as whom. Errors: OSError, ValueError when not even its own status can be read."""
    cgroup, mountinfo = read_or_empty(reader, "/proc/self/cgroup"), read_or_empty(reader, "/proc/self/mountinfo")
    kind = parse_place(cgroup, mountinfo)
    pid_namespace = read_link(reader, "/proc/self/ns/pid")
    if kind in ("host", "systemd") and pid_namespace != FIRST_PID_NAMESPACE:
        kind = next((engine for engine, path in MARKS.items() if reader.exists(path)), kind)
    container_id = collect_container_id(reader, "self")
    hostname = read_or_empty(reader, "/proc/sys/kernel/hostname").decode(errors="surrogateescape").strip()
    names = {"kubernetes": hostname, "systemd": parse_unit(cgroup), "host": ""}
    user_namespace = read_link(reader, "/proc/self/ns/user")
    return Place(
        kind=kind,
        name=names.get(kind, container_id[:SHORT_ID] or hostname),
        container_id=container_id,
        is_gvisor=reader.exists("/proc/sentry-meminfo"),
        is_first_user_namespace=user_namespace == FIRST_USER_NAMESPACE if user_namespace else None,
        user_namespace=user_namespace,
        pid_namespace=pid_namespace,
        hidepid=hidepid_level(reader),
        ptrace_scope=_number(read_or_empty(reader, "/proc/sys/kernel/yama/ptrace_scope")),
        has_setpriv=any(reader.exists(path) for path in SETPRIV),
        identity=collect_identity(reader, own_process_id(reader) or 0),
    )


def collect_identity(reader: Source, pid: int) -> Identity:
    """Return who a process is and what it may. Errors: OSError when it is gone or hidden, ValueError."""
    with reader.process(pid) as files:
        return parse_identity(parse_status(files.read("status")), files.owner_uid())


def collect_identities(reader: Source, pids: set[int]) -> dict[int, Identity]:
    """Return who the processes are; those that are gone or hidden are left out."""
    found = {}
    for pid in pids:
        with suppress(OSError, ValueError):
            found[pid] = collect_identity(reader, pid)
    return found


def read_or_empty(reader: Source, path: str) -> bytes:
    """Return the content of a file, empty if it cannot be read."""
    try:
        return reader.read(path)
    except OSError:
        return b""


def read_link(reader: Source, path: str) -> str:
    """Return where a link points, empty if it cannot be read."""
    try:
        return reader.link(path)
    except OSError:
        return ""


def _number(raw: bytes) -> int | None:
    text = raw.strip()
    return int(text) if text.isdigit() else None
