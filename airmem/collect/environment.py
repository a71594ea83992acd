"""What a place allows to measure: each feature is tried, on airmem's own process and without disturbing anybody."""

from __future__ import annotations

import shutil
import struct
from contextlib import suppress

from airmem.collect.cgroup import collect_cgroup
from airmem.collect.place import collect_place, read_or_empty
from airmem.collect.processes import own_process_id
from airmem.errors import Malformed
from airmem.kernel.config import parse_config, parse_page_mapcount
from airmem.kernel.smaps import parse_smaps_rollup
from airmem.model.environment import Environment, KernelFeatures, Program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import Source

PACKAGES = ("py-spy", "memray", "numpy")
PROGRAMS = ("py-spy", "gdb", "lldb")

PAGEMAP_SCAN = 0xC0606610
"""The ioctl's number: _IOWR('f', 16, struct pm_scan_arg) (include/uapi/linux/fs.h, since Linux 6.7)."""

SCAN_NOTHING = struct.pack("<12Q", 96, *[0] * 11)
"""A struct pm_scan_arg of 96 bytes that asks about no page."""


def collect_environment(reader: Source) -> Environment:
    """Return what was found here. Errors: OSError, ValueError when not even airmem's own status can be read."""
    own_pid = own_process_id(reader) or 0
    cgroup, gaps = collect_cgroup(reader, own_pid)
    without_group = {"no_memory_cgroup", "cgroup_unreadable"}
    version = cgroup.version if cgroup else None if {gap.reason for gap in gaps} & without_group else 2
    return Environment(
        kernel=_collect_kernel(reader, own_pid),
        place=collect_place(reader),
        programs=collect_programs(),
        cgroup_version=version,
        has_memory_account=cgroup is not None and cgroup.usage_bytes is not None,
    )


def _collect_kernel(reader: Source, own_pid: int) -> KernelFeatures:
    release = read_or_empty(reader, "/proc/sys/kernel/osrelease").decode(errors="surrogateescape").strip()
    own = f"/proc/{own_pid}"
    try:
        has_smaps_rollup, account = True, parse_smaps_rollup(reader.read(f"{own}/smaps_rollup"))
    except (OSError, Malformed):
        has_smaps_rollup, account = False, None
    return KernelFeatures(
        release=release,
        has_smaps_rollup=has_smaps_rollup,
        has_divided_pss=account is not None and account.pss_anon_bytes is not None,
        has_pagemap=reader.exists(f"{own}/pagemap"),
        has_page_frames=reader.frames_obstacle() is None,
        has_pagemap_scan=_has_pagemap_scan(reader, own_pid),
        has_kpagecount=_can_open(reader, "/proc/kpagecount"),
        has_kpageflags=_can_open(reader, "/proc/kpageflags"),
        page_mapcount=_page_mapcount(reader, release),
        has_pressure=bool(read_or_empty(reader, "/proc/pressure/memory")),
        has_children=reader.exists(f"{own}/task/{own_pid}/children"),
    )


def _has_pagemap_scan(reader: Source, own_pid: int) -> bool | None:
    try:
        with reader.process(own_pid) as files:
            files.control("pagemap", PAGEMAP_SCAN, bytearray(SCAN_NOTHING))
    except (PermissionError, FileNotFoundError):
        return None
    except OSError:  # ENOTTY: the kernel does not know the question
        return False
    return True


def _can_open(reader: Source, path: str) -> bool:
    try:
        reader.read_words(path, ((0, 1),), memoryview(bytearray(8)))
    except OSError:
        return False
    return True


def _page_mapcount(reader: Source, release: str) -> str:
    for path in ("/proc/config.gz", f"/boot/config-{release}"):
        with suppress(ValueError):
            if raw := read_or_empty(reader, path):
                return parse_page_mapcount(parse_config(raw))
    return "unknown"


def collect_programs() -> tuple[Program, ...]:
    """Return the programs and packages that commands use; none of them is run."""
    names = dict.fromkeys((*PACKAGES, *PROGRAMS))
    return tuple(
        Program(
            name=name,
            path=(shutil.which(name) or "") if name in PROGRAMS else _folder(name),
            version=_version(name) if name in PACKAGES else "",
        )
        for name in names
    )


def _folder(package: str) -> str:
    """Return where a package would be imported from, empty if it cannot be; it is not imported."""
    from importlib.util import find_spec  # noqa: PLC0415

    spec = find_spec(package)
    return "" if spec is None or spec.origin is None else spec.origin.rpartition("/")[0]


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  # costs 20 ms

    try:
        return version(package)
    except PackageNotFoundError:
        return ""
