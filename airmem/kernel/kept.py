"""A reader of what kernel.tee kept: it answers as the kernel did, refusals included."""

from __future__ import annotations

import errno
import os

from airmem.kernel.stored import StoredProcess
from airmem.kernel.tee import EXISTS, LINK, NAMES, OWNER, UNIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airmem.kernel.record import Kept
    from airmem.kernel.source import OpenMemory
    from airmem.model.gap import Gap
    from airmem.model.snapshot import TreeSnapshot


class KeptReader:
    """Answers as TeeReader did. What was not asked then is refused with ENODATA."""

    origin = ""

    def __init__(self, kept: dict[str, Kept], taken_at_seconds: float, took_seconds: float) -> None:
        self._kept = kept
        self.taken_at_seconds: float | None = taken_at_seconds
        self.took_seconds: float | None = took_seconds
        self.is_live = False
        self.root_pids: tuple[int, ...] = ()
        self.gaps: tuple[Gap, ...] = ()

    def snapshot(self, root_pid: int, depth: str, taken_at_seconds: float) -> TreeSnapshot | None:  # noqa: ARG002
        """Return None: there are files."""
        return None

    def read(self, path: str) -> bytes:
        """Return the whole content of an absolute path."""
        found = self._look_up(path.lstrip("/"))
        return found if isinstance(found, bytes) else b""

    def link(self, path: str) -> str:
        """Return where a symbolic link pointed."""
        return str(self._look_up(path.lstrip("/") + LINK))

    def entries(self, path: str) -> list[str]:
        """Return the names in a folder."""
        found = self._look_up(path.lstrip("/") + NAMES)
        return list(found) if isinstance(found, tuple) else []

    def exists(self, path: str) -> bool:
        """Whether a path could be seen."""
        return bool(self._kept.get(path.lstrip("/") + EXISTS, 0))

    def read_words(self, path: str, runs: Sequence[tuple[int, int]], target: memoryview) -> None:  # noqa: ARG002
        """Refuse: nobody keeps page tables here."""
        raise _refusal(errno.ENODATA, path)

    def process_ids(self) -> list[int]:
        """Return the pids of which anything was kept, ascending."""
        pids = {key.split("/", 2)[1] for key in self._kept if key.startswith("proc/") and key.count("/") > 1}
        return sorted(int(pid) for pid in pids if pid.isdecimal())

    def process(self, pid: int) -> KeptProcess:
        """Open the folder of one process. Errors: OSError as it was refused, ENODATA if nobody asked for it."""
        self._look_up(f"proc/{pid}{EXISTS}")
        return KeptProcess(self, self._look_up, pid)

    def has_process(self, pid: int) -> bool:
        """Whether a process had this pid although /proc hid it."""
        return bool(self._kept.get(f"has_process {pid}", 0))

    def has_tree(self, pid: int) -> bool:
        """Whether anything was kept of a process."""
        return pid in self.process_ids()

    def frames_obstacle(self) -> tuple[str, str] | None:
        """Return why page tables cannot be compared: nobody keeps them here."""
        return "not_captured", "a bundle has no page tables"

    def zero_frames(self) -> tuple[tuple[int, int], ...]:
        """Return none."""
        return ()

    def own_user_id(self) -> int:
        """Return the effective user id that the files were read with."""
        found = self._kept.get("own_user_id", 0)
        return found if isinstance(found, int) else 0

    def _look_up(self, key: str) -> Kept:
        found = self._kept.get(key, -errno.ENODATA)
        if isinstance(found, int) and found < 0:
            raise _refusal(-found, key)
        return found


class KeptProcess(StoredProcess):
    """The files of one process as they were kept (see kernel.source.ProcessFiles)."""

    def __init__(self, reader: KeptReader, look_up: Callable[[str], Kept], pid: int) -> None:
        super().__init__(reader, pid)
        self._look_up = look_up
        self._prefix = f"proc/{pid}/"

    def owner_uid(self) -> int:
        """Return who owned the files of the process."""
        found = self._look_up(self._prefix + OWNER)
        return found if isinstance(found, int) else 0

    def ask_unix_sockets(self) -> bytes:
        """Return what sock_diag(7) said."""
        found = self._look_up(self._prefix + UNIX)
        return found if isinstance(found, bytes) else b""

    def read_words(self, name: str, runs: Sequence[tuple[int, int]], target: memoryview) -> None:  # noqa: ARG002
        """Refuse: nobody keeps page tables here."""
        raise _refusal(errno.ENODATA, name)

    def read_at(self, name: str, at_bytes: int, size_bytes: int) -> bytes:  # noqa: ARG002
        """Refuse: parts of files are kept elsewhere (collect.lookups)."""
        raise _refusal(errno.ENODATA, name)

    def memory(self) -> OpenMemory:
        """Refuse: contents of memory are not kept here."""
        raise _refusal(errno.ENODATA, "mem")

    def read_own(self, path: str, limit_bytes: int) -> bytes:  # noqa: ARG002
        """Refuse: sources are kept elsewhere (collect.lookups)."""
        raise _refusal(errno.ENODATA, path)


def _refusal(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
