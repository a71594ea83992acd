"""Control groups: which one a process is in, and the memory files of versions 1 and 2.

Sources: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from airmem.kernel.mountinfo import parse_mounts
from airmem.model.cgroup import CgroupMemory

MOST_DIGITS = 20
UNLIMITED_V1 = 1 << 60
"""Version 1 writes "no limit" as the largest multiple of a page below 2^63."""

STAT_V1 = {"anon": b"total_rss", "file": b"total_cache", "shmem": b"total_shmem", "swap": b"total_swap",
           "inactive_file": b"total_inactive_file"}  # fmt: skip
STAT_V2 = {"anon": b"anon", "file": b"file", "shmem": b"shmem", "inactive_file": b"inactive_file"}


def parse_membership(raw: bytes) -> tuple[int, str] | None:
    """Return (version, path) of the memory control group in /proc/PID/cgroup; None if there is none.

    A version 1 line that names the memory controller wins: on a hybrid host version 2 has none of the memory.
    """
    unified = None
    for line in raw.decode(errors="surrogateescape").split("\n"):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if "memory" in controllers.split(","):
            return 1, path
        if line.startswith("0::"):
            unified = path
    return None if unified is None else (2, unified)


def locate(version: int, path: str, mountinfo: bytes) -> str | None:
    """Return the folder of a control group as mounted here, or None if the mount does not reach it."""
    kind = "cgroup" if version == 1 else "cgroup2"
    for root, mount_point, options in parse_mounts(mountinfo, kind):
        if version == 1 and "memory" not in options:
            continue
        below = path.removeprefix(root.rstrip("/")) if path == root or path.startswith(root.rstrip("/") + "/") else None
        if below is not None and ".." not in below.split("/"):
            return (mount_point.rstrip("/") + "/" + below.strip("/")).rstrip("/")
    return None


def parse_memory_v1(path: str, files: dict[str, bytes]) -> CgroupMemory:
    """Return the account of a version 1 group from its files by name; what is missing is None."""
    stat = _pairs(files.get("memory.stat", b""))
    limit = _number(files.get("memory.limit_in_bytes"))
    hierarchical = stat.get(b"hierarchical_memory_limit")
    limits = [value for value in (limit, hierarchical) if value is not None and value < UNLIMITED_V1]
    usage = _number(files.get("memory.usage_in_bytes"))
    inactive = stat.get(STAT_V1["inactive_file"])
    return CgroupMemory(
        version=1,
        path=path,
        limit_bytes=min(limits) if limits else None,
        usage_bytes=usage,
        working_set_bytes=_working_set(usage, inactive),
        anon_bytes=stat.get(STAT_V1["anon"]),
        file_bytes=stat.get(STAT_V1["file"]),
        slab_bytes=None,  # version 1 counts slab only within all kernel memory
        shmem_bytes=stat.get(STAT_V1["shmem"]),
        swap_bytes=stat.get(STAT_V1["swap"]),
        oom_kill_count=_pairs(files.get("memory.oom_control", b"")).get(b"oom_kill"),
    )


def parse_memory_v2(path: str, files: dict[str, bytes]) -> CgroupMemory:
    """Return the account of a version 2 group from its files by name; what is missing is None."""
    stat = _pairs(files.get("memory.stat", b""))
    usage = _number(files.get("memory.current"))
    return CgroupMemory(
        version=2,
        path=path,
        limit_bytes=_number(files.get("memory.max")),
        usage_bytes=usage,
        working_set_bytes=_working_set(usage, stat.get(STAT_V2["inactive_file"])),
        anon_bytes=stat.get(STAT_V2["anon"]),
        file_bytes=stat.get(STAT_V2["file"]),
        slab_bytes=stat.get(b"slab"),
        shmem_bytes=stat.get(STAT_V2["shmem"]),
        swap_bytes=_number(files.get("memory.swap.current")),
        oom_kill_count=_pairs(files.get("memory.events", b"")).get(b"oom_kill"),
    )


def parse_process_ids(raw: bytes) -> tuple[int, ...]:
    """Return the pids of cgroup.procs; 0 stands for a process of another pid namespace."""
    return tuple(int(word) for word in raw.split() if _is_number(word))


def _working_set(usage_bytes: int | None, inactive_file_bytes: int | None) -> int | None:
    if usage_bytes is None or inactive_file_bytes is None:
        return None
    return max(0, usage_bytes - inactive_file_bytes)


def _number(raw: bytes | None) -> int | None:
    text = raw.strip() if raw else b""
    return int(text) if _is_number(text) else None


def _is_number(word: bytes) -> bool:
    return word.isdigit() and len(word) <= MOST_DIGITS


def _pairs(raw: bytes) -> dict[bytes, int]:
    pairs = {}
    for line in raw.splitlines():
        words = line.split()
        if len(words) == 2 and _is_number(words[1]):
            pairs[words[0]] = int(words[1])
    return pairs
