"""A memory control group of one's own, version 1 or 2, below or beside the present one."""

from __future__ import annotations

import os
import time
from pathlib import Path


def make_group(name: str) -> tuple[Path | None, str]:
    """Return a fresh group with a memory account, or None and why there is none."""
    if os.geteuid() != 0:
        return None, "making a control group needs root"
    why = "no control group that counts memory is mounted"
    for parent, account in _candidates():
        group = parent / name
        try:
            if group.exists():
                group.rmdir()  # of a run that was killed
            group.mkdir()
        except OSError as problem:
            why = f"{group}: {problem.strerror}"
            continue
        if (group / account).exists():
            return group, ""
        remove_group(group)
        why = f"{parent} does not hand the memory controller down"
    return None, why


def remove_group(group: Path) -> None:
    """Remove a group whose processes have all ended."""
    end = time.monotonic() + 10
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return


def _candidates() -> list[tuple[Path, str]]:
    """Return the folders in which to try, and the file that tells that memory is counted."""
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",")
        for folder, kind, options in _mounts():
            own = folder / path.strip("/")
            if kind == "cgroup" and "memory" in names and "memory" in options.split(","):
                found.append((own, "memory.usage_in_bytes"))
            elif kind == "cgroup2" and not controllers:
                # A group with processes and controllers for its children is not allowed, except at the top.
                found += [(own, "memory.current"), (own.parent, "memory.current")]
    return [(folder, account) for folder, account in found if folder.is_dir()]


def _mounts() -> list[tuple[Path, str, str]]:
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [(Path(words[1]), words[2], words[3]) for words in lines if words[2].startswith("cgroup")]
