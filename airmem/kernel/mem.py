"""/proc/PID/mem (proc(5)): the contents of a process's memory, read without stopping it.

The target runs on meanwhile; its mmap lock is taken for one page at a time (mem_rw, fs/proc/base.c). An absent page
would be faulted in, so callers ask for what pagemap says is present; what is read counts as accessed for reclaim.
"""

from __future__ import annotations

import errno
import os

from airmem.units import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

HIGHEST_ADDRESS = (1 << 63) - 1
"""Beyond it a file cannot be read at all, whatever is mapped there."""

UNREADABLE = (errno.EIO, errno.EFAULT)
"""What the kernel says of an address where nothing is mapped, or that no one may read."""


class ProcessMemory:
    """The memory of one process, opened once: it stays that of the program that ran then.

    After exec or the process's end every read is empty (the memory has no users any more): see `is_gone`.
    """

    def __init__(self, file: int) -> None:
        self._file = file

    def __enter__(self) -> ProcessMemory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it; the process's end frees its memory even while this is open."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def read(self, address_bytes: int, size_bytes: int) -> bytes | None:
        """Return the bytes at an address, empty where nothing can be read; None when the memory is gone."""
        if not 0 <= address_bytes <= HIGHEST_ADDRESS - size_bytes or not size_bytes:
            return b""
        try:
            return os.pread(self._file, size_bytes, address_bytes) or None
        except OSError as problem:
            if problem.errno in UNREADABLE:
                return b""
            raise

    def fill(self, runs: Sequence[tuple[int, int]], target: memoryview) -> list[int] | None:
        """Read runs of pages (first page number, count), one after the other, into `target`.

        Returns the numbers of those pages that could not be read, 0 in `target`; None when the memory is gone.
        """
        filled = 0
        unread: list[int] = []
        for first, count in runs:
            part = target[filled : filled + count * PAGE_BYTES]
            if not self._fill_run(first, part, unread):
                return None
            filled += len(part)
        return unread

    def _fill_run(self, first: int, part: memoryview, unread: list[int]) -> bool:
        """Fill one run; append pages that cannot be read. Return whether the memory is still there."""
        got = 0
        while got < len(part):
            try:
                count = os.preadv(self._file, [part[got:]], first * PAGE_BYTES + got)
            except OSError as problem:
                if problem.errno not in UNREADABLE:
                    raise
                page = got // PAGE_BYTES
                unread.append(first + page)
                part[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = bytes(PAGE_BYTES)
                got = (page + 1) * PAGE_BYTES
                continue
            if not count:
                return False
            got += count
        return True
