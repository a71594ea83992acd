"""The only opener of kernel files: /proc, /sys and their namespaces, below a root folder."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from airmem.kernel.mem import ProcessMemory
    from airmem.model.gap import Gap
    from airmem.model.snapshot import TreeSnapshot

READ_BYTES = 1 << 16
CUT_SHORT = ("maps",)
"""maps and smaps end early, as if complete, when the process ends or calls exec between two reads of one file. From
then on the whole file reads as empty."""


class KernelReader:
    """Reads kernel files below `root`, which is `/` on a live system (see kernel.source.Source).

    Every method raises OSError as the kernel gives it: what it means is for the caller to find out.
    """

    origin = ""

    def __init__(self, root: str = "/") -> None:
        self._root = root.rstrip("/")

    @property
    def is_live(self) -> bool:
        """Whether this reads the running system rather than a copy of its files."""
        return not self._root

    @property
    def taken_at_seconds(self) -> float | None:
        """Return None: whoever asks reads now."""
        return None

    @property
    def took_seconds(self) -> float | None:
        """Return None: reading is still to come."""
        return None

    @property
    def root_pids(self) -> tuple[int, ...]:
        """Return none: a whole system has no process that is obviously meant."""
        return ()

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Return nothing: what is there can be asked for."""
        return ()

    def snapshot(self, root_pid: int, depth: str, taken_at_seconds: float) -> TreeSnapshot | None:  # noqa: ARG002
        """Return None: there are kernel files to read."""
        return None

    def read(self, path: str) -> bytes:
        """Return the whole content of an absolute path."""
        return _read_whole(os.open(self._root + path, os.O_RDONLY | os.O_CLOEXEC))

    def link(self, path: str) -> str:
        """Return where a symbolic link points."""
        return os.readlink(self._root + path)

    def entries(self, path: str) -> list[str]:
        """Return the names in a folder."""
        return os.listdir(self._root + path)

    def exists(self, path: str) -> bool:
        """Whether a path can be seen."""
        return os.path.exists(self._root + path)

    def process_ids(self) -> list[int]:
        """Return the pids that /proc lists, ascending."""
        return sorted(int(name) for name in self.entries("/proc") if name.isdecimal())

    def process(self, pid: int) -> OpenProcess:
        """Open the folder of one process.

        Errors: FileNotFoundError if there is no such process, or hidepid hides it.
        """
        return OpenProcess(os.open(f"{self._root}/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def read_words(self, path: str, runs: Sequence[tuple[int, int]], target: memoryview) -> None:
        """Fill `target` with the 8-byte words of each run (first word, count); 0 where the file ends early."""
        file = os.open(self._root + path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _fill_runs(file, runs, target)
        finally:
            os.close(file)

    def has_process(self, pid: int) -> bool:
        """Whether a process has this pid although /proc may hide it: signal 0 asks without sending anything."""
        if not self.is_live:
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def has_tree(self, pid: int) -> bool:  # noqa: ARG002  # the protocol's signature
        """Return True: nothing is left out."""
        return True

    def frames_obstacle(self) -> tuple[str, str] | None:
        """Return why page tables cannot be compared, as a gap's (reason, detail); None if they can."""
        from airmem.kernel.frames import shows_frames  # noqa: PLC0415  # only where page tables are thought of

        if self.is_live and shows_frames(self):
            return None
        return (
            "no_page_frames",
            "page frame numbers are hidden here: they need CAP_SYS_ADMIN in the first user namespace",
        )

    def zero_frames(self) -> tuple[tuple[int, int], ...]:
        """Return the frames (first, count) of the zero page and of the huge zero page, found by mapping them."""
        from airmem.kernel.frames import find_zero_frames  # noqa: PLC0415  # only where page tables are read

        return find_zero_frames(self) if self.is_live else ()

    def own_user_id(self) -> int:
        """Return airmem's own effective user id."""
        return os.geteuid()


class OpenProcess:
    """The files of one process, read through its open folder.

    The kernel ties the folder to this process: when it ends, reads fail with ESRCH or ENOENT, even if another
    process has its pid by then.
    """

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._word_files: dict[str, int] = {}  # kept open: a page table is read in parts

    def __enter__(self) -> OpenProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._folder, *self._word_files.values()):
            os.close(file)

    def read(self, name: str, limit_bytes: int | None = None) -> bytes:
        """Return the content of a file of the process, at most `limit_bytes` of it."""
        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder)
        return _read_whole(file, name) if limit_bytes is None else _read_start(file, limit_bytes)

    def link(self, name: str) -> str:
        """Return where a symbolic link of the process points."""
        return os.readlink(name, dir_fd=self._folder)

    def entries(self, name: str) -> list[str]:
        """Return the names in a folder of the process."""
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            return os.listdir(folder)
        finally:
            os.close(folder)

    def owner_uid(self) -> int:
        """Return who owns the process's files: root when it is not dumpable (proc(5)), whoever runs it.

        The folder itself would not tell: it always belongs to the effective user (task_dump_owner, fs/proc/base.c).
        """
        return os.stat("status", dir_fd=self._folder).st_uid

    def control(self, name: str, request: int, argument: bytearray) -> int:
        """Ask the kernel an ioctl(2) question about a file opened to read; `argument` is filled in place."""
        from fcntl import ioctl  # noqa: PLC0415  # seldom asked

        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            return int(ioctl(file, request, argument))
        finally:
            os.close(file)

    def read_at(self, name: str, at_bytes: int, size_bytes: int) -> bytes:
        """Return a part of a file of the process; of `mem` fewer bytes where they end at an unreadable page."""
        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            return os.pread(file, size_bytes, at_bytes)
        finally:
            os.close(file)

    def read_own(self, path: str, limit_bytes: int) -> bytes:
        """Return a plain file that the process sees at a path, wherever its root is; at most so much of it."""
        from airmem.kernel.root_files import read_within  # noqa: PLC0415  # only sources are read so

        root = os.open("root", os.O_PATH | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            return read_within(root, path, limit_bytes)
        finally:
            os.close(root)

    def ask_unix_sockets(self) -> bytes:
        """Return what sock_diag(7) says of the unix sockets in the process's network namespace."""
        from airmem.kernel.netlink import ask_unix_sockets  # noqa: PLC0415  # only hang-dump asks

        if self.link("ns/net") == os.readlink("/proc/self/ns/net"):
            return ask_unix_sockets(None)
        namespace = os.open("ns/net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            return ask_unix_sockets(namespace)
        finally:
            os.close(namespace)

    def read_words(self, name: str, runs: Sequence[tuple[int, int]], target: memoryview) -> None:
        """Fill `target` with the 8-byte words of each run (first word, count), one run after the other.

        Where the file ends early, as pagemap does at the end of user space, the words are 0.
        """
        if name not in self._word_files:
            self._word_files[name] = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder)
        _fill_runs(self._word_files[name], runs, target)

    def memory(self) -> ProcessMemory:
        """Open the contents of the process's memory, only to read; whoever asked closes it."""
        from airmem.kernel.mem import ProcessMemory  # noqa: PLC0415  # most commands never look at contents

        return ProcessMemory(os.open("mem", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder))


def _fill_runs(file: int, runs: Sequence[tuple[int, int]], target: memoryview) -> None:
    filled = 0
    for first, count in runs:
        end = filled + count * 8
        _fill(file, target[filled:end], first * 8)
        filled = end


def _fill(file: int, target: memoryview, at: int) -> None:
    filled = 0
    while filled < len(target):
        got = os.preadv(file, [target[filled:]], at + filled)
        if got <= 0:
            # A page table ends with user space, but one whose process has ended or called exec is empty from the start.
            if not os.pread(file, 8, 0):
                raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
            target[filled:] = bytes(len(target) - filled)
            return
        filled += got


def _read_whole(file: int, name: str = "") -> bytes:
    try:
        first = os.read(file, READ_BYTES)
        blocks = [first]
        while blocks[-1]:
            blocks.append(os.read(file, READ_BYTES))
        if first and name.endswith(CUT_SHORT) and not os.pread(file, 1, 0):
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), name)
        return b"".join(blocks) if len(blocks) > 2 else first
    finally:
        os.close(file)


def _read_start(file: int, limit_bytes: int) -> bytes:
    try:
        return os.read(file, limit_bytes)
    finally:
        os.close(file)
