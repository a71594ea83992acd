"""The memory control group of a process: its limit and what is charged to it."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class CgroupMemory:
    """Bytes charged to a control group and all below it (cgroup-v2.rst, cgroup-v1/memory.rst). None is unknown.

    `limit_bytes` is None when there is no limit. `working_set_bytes` is what the kubelet compares with a limit:
    usage less inactive file cache, at least 0.
    """

    version: int
    path: str
    limit_bytes: int | None
    usage_bytes: int | None
    working_set_bytes: int | None
    anon_bytes: int | None
    file_bytes: int | None
    slab_bytes: int | None
    shmem_bytes: int | None
    swap_bytes: int | None
    oom_kill_count: int | None
