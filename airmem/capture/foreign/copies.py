"""Kernel files that somebody copied, as a source: a folder, or a tar file such as smemcap's.

A copy may lack files or hold them empty: rsync, which believes the size that /proc tells, copies nothing. An empty
file of memory would read as a process without memory, so it counts as absent.
"""

from __future__ import annotations

import errno
import os
from typing import Protocol

from airmem.errors import Malformed
from airmem.kernel.stat import parse_stat
from airmem.kernel.stored import StoredProcess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from airmem.kernel.source import OpenMemory
    from airmem.model.gap import Gap
    from airmem.model.snapshot import TreeSnapshot

NEVER_EMPTY = frozenset({"stat", "status", "smaps", "smaps_rollup", "cgroup", "mountinfo"})
EXPECTED = frozenset({"stat", "status", "smaps", "cgroup", "mountinfo", "pagemap"})
"""Every process has these, so that "no such file" would mean that it had ended."""

NOT_COPIED = "not in this copy"


class Store(Protocol):
    """Where the copied files lie; paths begin with a slash."""

    def read(self, path: str) -> bytes:
        """Return the content of a file. Errors: OSError."""

    def entries(self, path: str) -> list[str]:
        """Return the names in a folder. Errors: OSError."""


class CopiedReader:
    """Reads copied kernel files (see kernel.source.Source). `folder` is where the PID folders lie in the store."""

    origin = ""

    def __init__(self, store: Store, folder: str, taken_at_seconds: float | None) -> None:
        self._store = store
        self._folder = folder
        self._taken_at_seconds = self._told_time() or taken_at_seconds

    def snapshot(self, root_pid: int, depth: str, taken_at_seconds: float) -> TreeSnapshot | None:  # noqa: ARG002
        """Return None: there are files to read."""
        return None

    @property
    def is_live(self) -> bool:
        """Return False."""
        return False

    @property
    def taken_at_seconds(self) -> float | None:
        """When the copy was made, in seconds since 1970: by its /proc/uptime, else by its file's own time."""
        return self._taken_at_seconds

    @property
    def took_seconds(self) -> float | None:
        """Return None: nobody noted it."""
        return None

    @property
    def root_pids(self) -> tuple[int, ...]:
        """The process that all others descend from, where there is one."""
        parents = {}
        for pid in self.process_ids():
            try:
                parents[pid] = parse_stat(self.read(f"/proc/{pid}/stat")).parent_pid
            except (OSError, Malformed):
                continue
        tops = tuple(pid for pid, parent in parents.items() if parent not in parents)
        return tops if len(tops) == 1 else ()

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Return none: what a process lacks is told with it."""
        return ()

    def read(self, path: str) -> bytes:
        """Return the whole content of an absolute path."""
        name = path.rpartition("/")[2]
        try:
            content = self._store.read(self._place(path))
        except FileNotFoundError:
            if name == "cmdline":
                return b""  # the kernel's short name, which stat has, stands for it
            if name in EXPECTED:
                raise OSError(errno.ENODATA, NOT_COPIED, path) from None
            raise
        except PermissionError:
            raise OSError(errno.ENODATA, "in this copy, and not for you to read", path) from None
        if not content and name in NEVER_EMPTY:
            if name == "smaps_rollup":
                raise FileNotFoundError(errno.ENOENT, "empty in this copy", path)
            raise OSError(errno.ENODATA, "empty in this copy", path)
        return content

    def link(self, path: str) -> str:
        """Raise FileNotFoundError: where links of a copy point says nothing here."""
        raise FileNotFoundError(errno.ENOENT, NOT_COPIED, path)

    def entries(self, path: str) -> list[str]:
        """Return the names in a folder."""
        return self._store.entries(self._place(path))

    def exists(self, path: str) -> bool:
        """Whether a file is in the copy."""
        try:
            self._store.read(self._place(path))
        except OSError:
            return False
        return True

    def read_words(self, path: str, runs: Sequence[tuple[int, int]], target: memoryview) -> None:  # noqa: ARG002
        """Raise ENODATA: page frames of a copy cannot be compared."""
        raise OSError(errno.ENODATA, NOT_COPIED, path)

    def process_ids(self) -> list[int]:
        """Return the pids that were copied, ascending."""
        return sorted(int(name) for name in self.entries("/proc") if is_pid(name))

    def process(self, pid: int) -> CopiedProcess:
        """Open the folder of one process. Errors: FileNotFoundError if it was not copied."""
        if pid not in self.process_ids():
            raise FileNotFoundError(errno.ENOENT, NOT_COPIED, f"/proc/{pid}")
        return CopiedProcess(self, pid)

    def has_process(self, pid: int) -> bool:  # noqa: ARG002  # the protocol's signature
        """Return False: nothing is known of processes that are not in the copy."""
        return False

    def has_tree(self, pid: int) -> bool:  # noqa: ARG002  # the protocol's signature
        """Return True: what was copied is all that there is."""
        return True

    def frames_obstacle(self) -> tuple[str, str] | None:
        """Return that there are no page tables."""
        return "not_in_format", "a copy of /proc has no page tables"

    def zero_frames(self) -> tuple[tuple[int, int], ...]:
        """Return none."""
        return ()

    def own_user_id(self) -> int:
        """Return the user that asks; who made the copy is not known."""
        return os.geteuid()

    def _place(self, path: str) -> str:
        if path == "/proc" or path.startswith("/proc/"):
            return self._folder + path[5:] or "/"
        return path

    def _told_time(self) -> float | None:
        """Return boot time and uptime together, if both were copied."""
        from airmem.kernel.stat import parse_boot_time  # noqa: PLC0415  # once

        try:
            boot_time = parse_boot_time(self._store.read(self._folder + "/stat"))
            uptime = self._store.read(self._folder + "/uptime").split()[:1]
        except OSError:
            return None
        digits = uptime[0].partition(b".")[0] if uptime else b""
        return None if boot_time is None or not digits.isdigit() or len(digits) > 12 else boot_time + float(digits)


class CopiedProcess(StoredProcess):
    """The files of one process in a copy (see kernel.source.ProcessFiles)."""

    def owner_uid(self) -> int:
        """Raise ENODATA: a copy belongs to who made it."""
        raise OSError(errno.ENODATA, NOT_COPIED, self._folder)

    def read_words(self, name: str, runs: Sequence[tuple[int, int]], target: memoryview) -> None:  # noqa: ARG002
        """Raise ENODATA."""
        raise OSError(errno.ENODATA, NOT_COPIED, self._folder + name)

    def memory(self) -> OpenMemory:
        """Raise ENODATA: a copy of /proc has no contents of memory."""
        raise OSError(errno.ENODATA, NOT_COPIED, self._folder + "mem")


def is_pid(name: str) -> bool:
    """Whether a folder's name is a process id."""
    return name.isascii() and name.isdecimal() and len(name) < 11
