"""What the files of a process are where they were stored: in a capture, a copy, a bundle."""

from __future__ import annotations

import errno
import os
from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import TypeVar

    Self = TypeVar("Self", bound="StoredProcess")


class StoredFiles(Protocol):
    """Stored kernel files, by the paths that they had (see kernel.source.Source)."""

    def read(self, path: str) -> bytes:
        """Return the whole content of an absolute path."""

    def link(self, path: str) -> str:
        """Return where a symbolic link pointed."""

    def entries(self, path: str) -> list[str]:
        """Return the names in a folder."""


class StoredProcess:
    """The files of one process by their paths: nothing is held open, and the kernel cannot be asked any more."""

    def __init__(self, files: StoredFiles, pid: int) -> None:
        self._files = files
        self._folder = f"/proc/{pid}/"

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def read(self, name: str, limit_bytes: int | None = None) -> bytes:
        """Return the content of a file of the process, at most `limit_bytes` of it."""
        return self._files.read(self._folder + name)[:limit_bytes]

    def link(self, name: str) -> str:
        """Return where a symbolic link of the process pointed."""
        return self._files.link(self._folder + name)

    def entries(self, name: str) -> list[str]:
        """Return the names in a folder of the process, as far as they were stored."""
        return self._files.entries(self._folder + name)

    def control(self, name: str, request: int, argument: bytearray) -> int:  # noqa: ARG002  # the protocol's signature
        """Refuse: nobody can be asked."""
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), name)
