"""The memory control group of a process, and what else is in it."""

from __future__ import annotations

from errno import ENODATA

from airmem.collect.gaps import gap
from airmem.kernel.cgroup import locate, parse_membership, parse_memory_v1, parse_memory_v2, parse_process_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import Source
    from airmem.model.cgroup import CgroupMemory
    from airmem.model.gap import Gap

FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat", "memory.oom_control"),
    2: ("memory.max", "memory.current", "memory.stat", "memory.events", "memory.swap.current"),
}
USAGE_FILE = {1: "memory.usage_in_bytes", 2: "memory.current"}


def collect_cgroup(reader: Source, pid: int) -> tuple[CgroupMemory | None, tuple[Gap, ...]]:
    """Return the memory control group of a process, or None with a gap that says why."""
    try:
        membership = parse_membership(reader.read(f"/proc/{pid}/cgroup"))
        mountinfo = reader.read("/proc/self/mountinfo")
    except OSError as problem:
        if problem.errno == ENODATA:
            return None, (_gap(pid, "not_captured", f"its control group is {problem.strerror}"),)
        return None, (_gap(pid, "cgroup_unreadable", f"its control group cannot be read: {problem.strerror}"),)
    if membership is None:
        return None, (_gap(pid, "no_memory_cgroup", "it is in no control group that counts memory"),)
    version, path = membership
    path, folder = _climb(reader, version, path, locate(version, path, mountinfo))
    if folder is None or not reader.exists(f"{folder}/{USAGE_FILE[version]}"):
        return None, (_gap(pid, *_absence(version, path, folder)),)
    files = _read_files(reader, folder, version)
    return (parse_memory_v1 if version == 1 else parse_memory_v2)(path, files), ()


def _climb(reader: Source, version: int, path: str, folder: str | None) -> tuple[str, str | None]:
    """Return (path, folder) of the nearest group upward that has an account; itself where there is none.

    In version 2 a group may lack the memory controller: its memory is charged to the first ancestor that has it
    (cgroup-v2.rst, "Organizing Processes and Threads").
    """
    own = path, folder
    while folder is not None and not reader.exists(f"{folder}/{USAGE_FILE[version]}"):
        path, folder = path.rpartition("/")[0], folder.rpartition("/")[0]
        if not path or not reader.exists(f"{folder}/cgroup.procs"):
            return own
    return path, folder


def _absence(version: int, path: str, folder: str | None) -> tuple[str, str]:
    """Return (reason, detail) for a group without an account here."""
    if folder is None:
        return "cgroup_not_mounted", f"the version {version} control group {path} is not mounted where airmem runs"
    if path == "/":
        return "root_cgroup", "it is in the root control group, which has no memory account of its own"
    return "no_memory_controller", f"the memory controller is off in the version {version} control group {path}"


def _gap(pid: int, reason: str, detail: str) -> Gap:
    return gap(pid, "cgroup", reason, detail)


def _read_files(reader: Source, folder: str, version: int) -> dict[str, bytes]:
    files = {}
    for name in FILES[version]:
        try:
            files[name] = reader.read(f"{folder}/{name}")
        except OSError:
            pass
    if version == 2:
        files["memory.max"] = _tightest_limit(reader, folder)
    return files


def _tightest_limit(reader: Source, folder: str) -> bytes:
    """Return the smallest memory.max from this group up to the mount: a pod's limit binds its containers too."""
    limits = []
    while True:
        try:
            raw = reader.read(f"{folder}/memory.max").strip()
        except OSError:
            break  # the root of the hierarchy has no limit
        if raw.isdigit():
            limits.append(int(raw))
        folder = folder.rpartition("/")[0]
    return str(min(limits)).encode() if limits else b"max"


def collect_members(reader: Source, pid: int) -> tuple[int, ...] | None:
    """Return the pids in the memory control group of a process and below it, or None if they cannot be listed.

    0 stands for a process that is not in this pid namespace.
    """
    found: list[int] = []
    try:
        version, path = parse_membership(reader.read(f"/proc/{pid}/cgroup")) or (2, "")
        folder = locate(version, path, reader.read("/proc/self/mountinfo"))
        pending = [_climb(reader, version, path, folder)[1] or ""]
        while pending:
            current = pending.pop()
            found += parse_process_ids(reader.read(f"{current}/cgroup.procs"))
            pending += [f"{current}/{name}" for name in reader.entries(current) if _is_group(reader, current, name)]
    except OSError:
        return None
    return tuple(sorted(set(found)))


def _is_group(reader: Source, folder: str, name: str) -> bool:
    is_file_of_kernel = name.startswith(("memory.", "cgroup.", "cpu", "io.", "pids.", "hugetlb.", "rdma.", "misc."))
    return not is_file_of_kernel and reader.exists(f"{folder}/{name}/cgroup.procs")
