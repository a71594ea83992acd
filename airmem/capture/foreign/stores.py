"""Where copied kernel files lie: in the members of a tar file, or in a folder."""

from __future__ import annotations

import errno
import os

from airmem.kernel.reader import KernelReader
from airmem.units import MIB

MOST_FILE_BYTES = 512 * MIB


class Members:
    """The members of an archive, by name."""

    def __init__(self, members: dict[str, bytes]) -> None:
        self._members = members
        self._folders: dict[str, set[str]] = {}
        for path in members:
            below = path
            while below:
                below, _, name = below.rpartition("/")
                self._folders.setdefault(below, set()).add(name)

    def read(self, path: str) -> bytes:
        """Return the content of a member."""
        try:
            return self._members[path.strip("/")]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None

    def entries(self, path: str) -> list[str]:
        """Return the names in a folder."""
        try:
            return sorted(self._folders[path.strip("/")])
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None


class Folder:
    """A folder, out of which no link leads, and in which only plain files are read: it may be anybody's."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)
        self._reader = KernelReader(self._root)

    def read(self, path: str) -> bytes:
        """Return the content of a plain file."""
        place = self._inside(path)
        if not os.path.isfile(place):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if os.path.getsize(place) > MOST_FILE_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MOST_FILE_BYTES // MIB} MiB", path)
        return self._reader.read(path)

    def entries(self, path: str) -> list[str]:
        """Return the names in a folder."""
        self._inside(path)
        return self._reader.entries(path)

    def _inside(self, path: str) -> str:
        place = os.path.realpath(self._root + path)
        if os.path.commonpath([place, self._root]) != self._root:
            raise FileNotFoundError(errno.ENOENT, "a link that leads out of the folder", path)
        return place
