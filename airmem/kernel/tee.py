"""A reader that keeps what it reads, so that an answer can be given again elsewhere (see kernel.kept).

What is kept holds no secret: command lines are redacted on the way in, environments are never asked for.
"""

from __future__ import annotations

import errno

from airmem.kernel.reader import KernelReader, OpenProcess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TypeVar

    from airmem.kernel.record import Kept

    Found = TypeVar("Found", bytes, str, "list[str]", int)

LINK, NAMES, OWNER, EXISTS, UNIX, OWN = " link", " names", " owner", " exists", " unix", " own "
"""What is asked of a path besides its content, as ends of the key that the answer is kept under."""

REDACTED_FILES = ("cmdline",)


class Keeper:
    """Asks, and keeps the answer or the refusal in `kept`, unless that is None."""

    def __init__(self, kept: dict[str, Kept] | None) -> None:
        self._kept = kept

    def keep(self, key: str, ask: Callable[[], Found]) -> Found:
        """Return what was asked for. Errors: those of asking."""
        if self._kept is None:
            return ask()
        try:
            found = ask()
        except OSError as problem:
            self._kept[key] = -(problem.errno or errno.EIO)
            raise
        self._kept[key] = tuple(found) if isinstance(found, list) else _redacted(key, found)
        return found


class TeeReader(KernelReader):
    """Reads the running system and keeps what it read in `kept`, unless that is None."""

    def __init__(self, kept: dict[str, Kept] | None) -> None:
        super().__init__()
        self._keeper = Keeper(kept)
        self._keep = self._keeper.keep

    def read(self, path: str) -> bytes:
        """Return the whole content of an absolute path."""
        return self._keep(path.lstrip("/"), lambda: super(TeeReader, self).read(path))

    def link(self, path: str) -> str:
        """Return where a symbolic link points."""
        return self._keep(path.lstrip("/") + LINK, lambda: super(TeeReader, self).link(path))

    def entries(self, path: str) -> list[str]:
        """Return the names in a folder."""
        return self._keep(path.lstrip("/") + NAMES, lambda: super(TeeReader, self).entries(path))

    def exists(self, path: str) -> bool:
        """Whether a path can be seen."""
        return bool(self._keep(path.lstrip("/") + EXISTS, lambda: int(super(TeeReader, self).exists(path))))

    def own_user_id(self) -> int:
        """Return airmem's own effective user id."""
        return self._keep("own_user_id", super().own_user_id)

    def has_process(self, pid: int) -> bool:
        """Whether a process has this pid although /proc may hide it."""
        return bool(self._keep(f"has_process {pid}", lambda: int(super(TeeReader, self).has_process(pid))))

    def process(self, pid: int) -> TeeProcess:
        """Open the folder of one process. Errors: FileNotFoundError."""
        opened: list[OpenProcess] = []

        def open_folder() -> int:
            opened.append(super(TeeReader, self).process(pid))
            return 1

        self._keep(f"proc/{pid}{EXISTS}", open_folder)
        return TeeProcess(opened[0], f"proc/{pid}/", self._keeper)


class TeeProcess(OpenProcess):
    """The files of one process, kept as they are read."""

    def __init__(self, files: OpenProcess, prefix: str, keeper: Keeper) -> None:
        self._files = files
        self._prefix = prefix
        self._keep = keeper.keep

    def __enter__(self) -> TeeProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.__exit__(kind, value, trace)

    def read(self, name: str, limit_bytes: int | None = None) -> bytes:
        """Return the content of a file of the process, at most `limit_bytes` of it."""
        return self._keep(self._prefix + name, lambda: self._files.read(name, limit_bytes))

    def link(self, name: str) -> str:
        """Return where a symbolic link of the process points."""
        return self._keep(self._prefix + name + LINK, lambda: self._files.link(name))

    def entries(self, name: str) -> list[str]:
        """Return the names in a folder of the process."""
        return self._keep(self._prefix + name + NAMES, lambda: self._files.entries(name))

    def owner_uid(self) -> int:
        """Return who owns the files of the process."""
        return self._keep(self._prefix + OWNER, self._files.owner_uid)

    def ask_unix_sockets(self) -> bytes:
        """Return what sock_diag(7) says of the unix sockets in the process's network namespace."""
        return self._keep(self._prefix + UNIX, self._files.ask_unix_sockets)

    def read_at(self, name: str, at_bytes: int, size_bytes: int) -> bytes:
        """Return a part of a file of the process; not kept here (see collect.lookups)."""
        return self._files.read_at(name, at_bytes, size_bytes)

    def read_own(self, path: str, limit_bytes: int) -> bytes:
        """Return a plain file that the process sees at a path; not kept here (see collect.lookups)."""
        return self._files.read_own(path, limit_bytes)


def _redacted(key: str, found: bytes | str | int) -> Kept:
    if not isinstance(found, bytes) or not key.endswith(REDACTED_FILES):
        return found
    from airmem.kernel.cmdline import parse_cmdline  # noqa: PLC0415  # only where command lines are kept

    words = parse_cmdline(found)
    return "\0".join((*words, "")).encode(errors="surrogateescape") if words else b""
