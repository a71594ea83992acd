"""A capture as a source: it answers as the kernel did when the capture was made, refusals and gaps included."""

from __future__ import annotations

import errno
import os
import sys

from airmem.capture.archive import read_archive
from airmem.capture.facts import FINAL, Place, ProcessFacts, parse_final, parse_place, parse_process
from airmem.errors import Malformed
from airmem.kernel.stored import StoredProcess
from airmem.model.gap import Gap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from airmem.capture.memory import ContentStore
    from airmem.kernel.source import OpenMemory
    from airmem.model.snapshot import TreeSnapshot

NOT_CAPTURED = "not in this capture"
WORD_BYTES = 8


def read_capture(file: BinaryIO, name: str) -> CaptureReader:
    """Return the source that a stream of bytes is. Errors: Malformed, OSError."""
    return CaptureReader(read_archive(file, name), name)


class CaptureReader:
    """Reads what was captured (see kernel.source.Source). What was not captured raises ENODATA or ENOENT."""

    origin = ""

    def __init__(self, members: dict[str, bytes], name: str) -> None:
        self._name = name
        self._members = members
        self._place: Place = parse_place(members, name)
        self._took_seconds = parse_final(members, name)
        self._processes: dict[int, ProcessFacts] = {}
        self._links: dict[str, str] = dict(self._place.links)
        self._errors: dict[str, int] = dict(self._place.errors)
        for path in [*members]:
            if path.startswith("airmem/") and path[7:-5].isdecimal() and path.endswith(".json"):
                self._add_process(parse_process(members, path, name))
        if not any(pid in self._processes for pid in self._place.root_pids):
            raise Malformed(f"{name}: cut short before the first process was whole", "Make it again.")
        self._folders = self._list_folders()
        self._contents: ContentStore | None = None

    def _add_process(self, facts: ProcessFacts) -> None:
        below = f"proc/{facts.pid}/"
        self._processes[facts.pid] = facts
        self._links.update({below + name: target for name, target in facts.links.items()})
        self._errors.update({(below + name).rstrip("/"): number for name, number in facts.errors.items()})
        for name, same in facts.same.items():
            if same not in self._members:
                raise Malformed(f"{self._name}: {below}{name} is said to equal {same}, which is not there")
            self._members.setdefault(below + name, self._members[same])

    def _list_folders(self) -> dict[str, set[str]]:
        folders: dict[str, set[str]] = {}
        for path in (*self._members, *self._links, *self._errors):
            while path:
                path, _, name = path.rpartition("/")  # noqa: PLW2901  # walks up
                if name in folders.setdefault(path, set()):
                    break
                folders[path].add(name)
        return folders

    @property
    def is_live(self) -> bool:
        """Return False."""
        return False

    @property
    def taken_at_seconds(self) -> float | None:
        """When the capture was begun, in seconds since 1970."""
        return self._place.taken_at_seconds

    @property
    def took_seconds(self) -> float | None:
        """How long capturing took, None when it was cut short."""
        return self._took_seconds

    @property
    def root_pids(self) -> tuple[int, ...]:
        """The processes that the capture was made of, with all their descendants."""
        return self._place.root_pids

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Return what a capture that was cut short lacks."""
        if self._took_seconds is not None:
            return ()
        there = sum(pid in self._processes for pid in self._place.tree_pids)
        detail = (
            f"{self._name} was cut short: it lacks {FINAL}, and has {there} of {len(self._place.tree_pids)} processes"
        )
        return (Gap(pid=None, fact="process", reason="capture_incomplete", detail=detail),)

    def snapshot(self, root_pid: int, depth: str, taken_at_seconds: float) -> TreeSnapshot | None:  # noqa: ARG002
        """Return None: there are kernel files to read."""
        return None

    def read(self, path: str) -> bytes:
        """Return the whole content of an absolute path."""
        key = self._key(path)
        if key in self._members and key not in self._errors:
            return self._members[key]
        raise self._refusal(key, path)

    def link(self, path: str) -> str:
        """Return where a symbolic link pointed."""
        key = self._key(path)
        if key in self._links:
            return self._links[key]
        raise self._refusal(key, path)

    def entries(self, path: str) -> list[str]:
        """Return the names in a folder, as far as they were captured."""
        key = self._key(path)
        if key in self._folders and key not in self._errors:
            return sorted(self._folders[key])
        raise self._refusal(key, path)

    def exists(self, path: str) -> bool:
        """Whether a path could be seen."""
        key = self._key(path)
        known = key in self._place.present or key in self._members or key in self._links or key in self._folders
        return known and self._errors.get(key) != errno.ENOENT

    def read_words(self, path: str, runs: Sequence[tuple[int, int]], target: memoryview) -> None:
        """Fill `target` with the 8-byte words of each run (first word, count); 0 where nothing was captured."""
        words = self.read(path)
        _fill(target, runs, ((0, len(words) // WORD_BYTES),), memoryview(words))

    def process_ids(self) -> list[int]:
        """Return the pids that were captured whole, ascending."""
        return sorted(self._processes)

    def process(self, pid: int) -> CapturedProcess:
        """Open the folder of one process. Errors: OSError as when it was captured, FileNotFoundError if it was not."""
        key = f"proc/{pid}"
        if key in self._errors or pid not in self._processes:
            raise self._refusal(key, f"/proc/{pid}")
        return CapturedProcess(self, self._processes[pid])

    def memory_of(self, pid: int) -> OpenMemory:
        """Return the contents of a process's memory. Errors: OSError as when it was captured, ENODATA without."""
        index = self._members.get(f"airmem/{pid}.pages")
        if index is None or self._has_other_pages:
            number = self._errors.get(f"proc/{pid}/mem", errno.ENODATA)
            raise OSError(number, NOT_CAPTURED if number == errno.ENODATA else os.strerror(number), f"/proc/{pid}/mem")
        from airmem.capture.memory import CapturedMemory, ContentStore  # noqa: PLC0415  # imports numpy

        if self._contents is None:
            self._contents = ContentStore(self._members, self._name)
        return CapturedMemory(index, self._contents, self._name)

    def has_process(self, pid: int) -> bool:  # noqa: ARG002  # the protocol's signature
        """Return False: what /proc hid could not be captured."""
        return False

    def has_tree(self, pid: int) -> bool:
        """Whether a process was captured with all its descendants."""
        return pid in self._place.tree_pids

    def frames_obstacle(self) -> tuple[str, str] | None:
        """Return why page tables cannot be compared (reason, detail), None if they can."""
        if not self._place.has_frames:
            detail = "page frame numbers are hidden here: they need CAP_SYS_ADMIN in the first user namespace"
            return "no_page_frames", detail
        if self._place.zero_frames is None:
            return "not_captured", "the capture was made without page tables"
        if self._has_other_pages:
            return "not_captured", "the capture's pages are of another size or byte order than this machine's"
        return None

    def zero_frames(self) -> tuple[tuple[int, int], ...]:
        """Return the frames (first, count) of the zero page and of the huge zero page, as the capture counts them."""
        return self._place.zero_frames or ()

    @property
    def _has_other_pages(self) -> bool:
        return self._place.byte_order != sys.byteorder or self._place.page_bytes != os.sysconf("SC_PAGE_SIZE")

    def own_user_id(self) -> int:
        """Return the effective user id that the capture was made with."""
        return self._place.own_user_id

    def _key(self, path: str) -> str:
        """Return the member that an absolute path is."""
        key = path.strip("/")
        if key.startswith("proc/self/"):
            return f"proc/{self._place.own_pid}/{key[10:]}"
        return key

    def _refusal(self, key: str, path: str) -> OSError:
        """Return the error that the kernel gave, or one that says that nobody asked."""
        number = self._errors.get(key)
        if number is not None:
            return OSError(number, os.strerror(number), path)
        process, _, name = key.removeprefix("proc/").partition("/")
        if key.startswith("proc/") and process.isdecimal() and name in NOT_ALWAYS and int(process) in self._processes:
            return OSError(errno.ENODATA, NOT_CAPTURED, path)
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


NOT_ALWAYS = ("smaps", "maps", "pagemap")
"""Files that every process has and that a capture may lack, so that "no such file" would be the wrong answer."""


class CapturedProcess(StoredProcess):
    """The files of one process in a capture (see kernel.source.ProcessFiles)."""

    def __init__(self, reader: CaptureReader, facts: ProcessFacts) -> None:
        super().__init__(reader, facts.pid)
        self._reader = reader
        self._facts = facts

    def owner_uid(self) -> int:
        """Return who owned the files of the process."""
        if self._facts.owner_uid is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._folder)
        return self._facts.owner_uid

    def read_words(self, name: str, runs: Sequence[tuple[int, int]], target: memoryview) -> None:
        """Fill `target` with the 8-byte words of each run (first page, count); 0 where nothing was captured."""
        _fill(target, runs, self._facts.runs, memoryview(self._reader.read(self._folder + name)))

    def memory(self) -> OpenMemory:
        """Return the contents of the process's memory; ENODATA where the capture was made without."""
        return self._reader.memory_of(self._facts.pid)


def _fill(
    target: memoryview, runs: Sequence[tuple[int, int]], known: Sequence[tuple[int, int]], words: memoryview
) -> None:
    """Copy the words of known runs into those that are asked for; both ascend."""
    target[:] = bytes(len(target))
    offset = 0
    for first, count in runs:
        at = 0
        for known_first, known_count in known:
            low, high = max(first, known_first), min(first + count, known_first + known_count)
            if low < high:
                begin, end = at + low - known_first, at + high - known_first
                piece = words[begin * WORD_BYTES : end * WORD_BYTES]
                start = (offset + low - first) * WORD_BYTES
                target[start : start + len(piece)] = piece
            at += known_count
        offset += count
