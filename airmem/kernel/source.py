"""What every place that kernel files come from can do: the running system, a copy of its files, a capture."""

from __future__ import annotations

from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from airmem.model.gap import Gap
    from airmem.model.snapshot import TreeSnapshot


class Source(Protocol):
    """Hands out kernel files and the few facts of a place that no file tells.

    Every method raises OSError as the kernel gives it, or gave it when a capture was made: what it means is for the
    caller to find out.
    """

    origin: str
    """What `--from` named, empty for the running system."""

    @property
    def is_live(self) -> bool:
        """Whether this is the running system."""

    @property
    def taken_at_seconds(self) -> float | None:
        """When the files were read, in seconds since 1970; None for now."""

    @property
    def took_seconds(self) -> float | None:
        """How long reading them took; None where reading is still to come."""

    @property
    def root_pids(self) -> tuple[int, ...]:
        """The processes that a capture was made of, so that they need not be named again; none of a whole system."""

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What this source as a whole lacks: a capture that was cut short, for example."""

    def snapshot(self, root_pid: int, depth: str, taken_at_seconds: float) -> TreeSnapshot | None:
        """Return all that is known of a process where there are no kernel files (pmap's output), else None."""

    def read(self, path: str) -> bytes:
        """Return the whole content of an absolute path."""

    def link(self, path: str) -> str:
        """Return where a symbolic link points."""

    def entries(self, path: str) -> list[str]:
        """Return the names in a folder."""

    def exists(self, path: str) -> bool:
        """Whether a path can be seen."""

    def read_words(self, path: str, runs: Sequence[tuple[int, int]], target: memoryview) -> None:
        """Fill `target` with the 8-byte words of each run (first word, count) of a file such as /proc/kpagecount.

        Where the file ends early the words are 0.
        """

    def process_ids(self) -> list[int]:
        """Return the pids that /proc lists, ascending."""

    def process(self, pid: int) -> ProcessFiles:
        """Open the folder of one process.

        Errors: FileNotFoundError if there is no such process, or hidepid hides it.
        """

    def has_process(self, pid: int) -> bool:
        """Whether a process has this pid, although /proc may hide it."""

    def has_tree(self, pid: int) -> bool:
        """Whether a process is there with all its descendants: a capture has some beside its trees, too."""

    def frames_obstacle(self) -> tuple[str, str] | None:
        """Return why page tables cannot be compared, as a gap's (reason, detail); None if they can (pagemap.rst)."""

    def zero_frames(self) -> tuple[tuple[int, int], ...]:
        """Return the frames (first, count) of the zero page and of the huge zero page."""

    def own_user_id(self) -> int:
        """Return the effective user id that the files are, or were, read with."""


class ProcessFiles(Protocol):
    """The files of one process, even if another one has its pid by now."""

    def __enter__(self) -> ProcessFiles: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def read(self, name: str, limit_bytes: int | None = None) -> bytes:
        """Return the content of a file of the process, at most `limit_bytes` of it."""

    def link(self, name: str) -> str:
        """Return where a symbolic link of the process points."""

    def entries(self, name: str) -> list[str]:
        """Return the names in a folder of the process."""

    def control(self, name: str, request: int, argument: bytearray) -> int:
        """Ask a file of the process by an ioctl that changes nothing; of a capture EPERM."""

    def owner_uid(self) -> int:
        """Return who owns the files: root when the process is not dumpable (ptrace(2))."""

    def read_words(self, name: str, runs: Sequence[tuple[int, int]], target: memoryview) -> None:
        """Fill `target` with the 8-byte words of each run (first word, count), one run after the other.

        Where the file ends early, as pagemap does at the end of user space, the words are 0.
        """

    def memory(self) -> OpenMemory:
        """Open the contents of the process's memory, only to read; whoever asked closes it.

        Errors: PermissionError as the kernel gives it; ENODATA from a capture made without contents.
        """


class OpenMemory(Protocol):
    """The contents of one process's memory, which stay those of the program that ran when they were opened."""

    def read(self, address_bytes: int, size_bytes: int) -> bytes | None:
        """Return the bytes at an address, empty where nothing can be read; None when the memory is gone."""

    def fill(self, runs: Sequence[tuple[int, int]], target: memoryview) -> list[int] | None:
        """Read runs of pages (first page number, count), one after the other, into `target`.

        Returns the numbers of those pages that could not be read, 0 in `target`; None when the memory is gone.
        """

    def close(self) -> None:
        """Let go of it."""
