"""What belongs into a bundle beside the verdict: control groups as raw files, versions."""

from __future__ import annotations

import os
import platform
from contextlib import suppress

from airmem._version import __version__
from airmem.collect.environment import collect_programs
from airmem.kernel.cgroup import locate, parse_membership

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from airmem.kernel.source import Source

CGROUP_FILES = (
    "memory.current", "memory.max", "memory.high", "memory.peak", "memory.events", "memory.stat", "memory.pressure",
    "memory.swap.current", "memory.usage_in_bytes", "memory.limit_in_bytes", "memory.failcnt", "memory.oom_control",
    "memory.max_usage_in_bytes", "cgroup.events", "cpu.stat", "cpu.pressure", "io.pressure", "pids.current", "pids.max",
    "pids.events",
)  # fmt: skip
"""Of versions 1 and 2, as far as they are there."""


def collect_cgroup_files(reader: Source, pids: Iterable[int]) -> dict[str, bytes]:
    """Return the files of the memory control groups of processes, by `GROUP/FILE`; what is refused is missing."""
    found: dict[str, bytes] = {}
    with suppress(OSError):
        mountinfo = reader.read("/proc/self/mountinfo")
        for pid in pids:
            with suppress(OSError):
                membership = parse_membership(reader.read(f"/proc/{pid}/cgroup"))
                folder = locate(*membership, mountinfo) if membership else None
                if folder is not None:
                    found.update(_read(reader, folder))
    return found


def _read(reader: Source, folder: str) -> dict[str, bytes]:
    found = {}
    for name in CGROUP_FILES:
        with suppress(OSError):
            found[f"{folder.strip('/')}/{name}"] = reader.read(f"{folder}/{name}")
    return found


def collect_versions() -> dict[str, str]:
    """Return the versions of what took part: airmem, its Python and tools, the kernel."""
    versions = {
        "airmem": __version__,
        "python": platform.python_version(),
        "kernel": os.uname().release,
        "machine": os.uname().machine,
    }
    versions.update({one.name: one.version for one in collect_programs() if one.version})
    return versions
