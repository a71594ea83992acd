"""Files as a process sees them: below its own root, and never outside of it.

/proc/PID/root leads into the process's mounts, but an absolute link met there leads to *airmem's* root: a hostile image
could pass off any file of the host as its own source. So each part of a path is opened by itself, and links are
followed by hand.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

MOST_LINKS = 40
"""As many as the kernel follows (MAXSYMLINKS)."""

FOLDER_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_within(root_folder: int, path: str, limit_bytes: int) -> bytes:
    """Return a plain file below an open root folder, at most `limit_bytes` of it; `..` and links stay below it.

    Errors: OSError; EINVAL for what is no plain file (a pipe or device could block, or act when it is opened).
    """
    above = [os.dup(root_folder)]
    try:
        return _walk(above, path.split("/")[::-1], limit_bytes)
    finally:
        for folder in above:
            os.close(folder)


def _walk(above: list[int], pending: list[str], limit_bytes: int) -> bytes:
    """Open one part of the path after the other; `above` are the open folders from the root on."""
    links = 0
    while pending:
        name = pending.pop()
        if name in ("", "."):
            continue
        if name == "..":
            if len(above) > 1:
                os.close(above.pop())
            continue
        target = None
        with suppress(OSError):  # EINVAL: it is no link
            target = os.readlink(name, dir_fd=above[-1])
        if target is not None:
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
            while target.startswith("/") and len(above) > 1:
                os.close(above.pop())
            pending += target.split("/")[::-1]
        elif any(part not in ("", ".") for part in pending):
            above.append(os.open(name, FOLDER_FLAGS, dir_fd=above[-1]))
        else:
            return _read_plain(os.open(name, FILE_FLAGS, dir_fd=above[-1]), limit_bytes)
    raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))


def _read_plain(file: int, limit_bytes: int) -> bytes:
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        blocks, left = [], limit_bytes
        while left and (block := os.read(file, left)):
            blocks.append(block)
            left -= len(block)
        return b"".join(blocks)
    finally:
        os.close(file)
