"""What is read once of each process of a tree that may stand still: who it is, what it has open, where it is."""

from __future__ import annotations

from contextlib import suppress

from airmem.collect.access import explain_denial
from airmem.collect.gaps import gap
from airmem.collect.patience import within
from airmem.collect.processes import living_thread
from airmem.kernel.cmdline import READ_BYTES, parse_cmdline
from airmem.kernel.fdinfo import parse_fdinfo
from airmem.kernel.mappings import parse_maps
from airmem.kernel.mount_table import parse_mount_table
from airmem.kernel.python import parse_python_version
from airmem.kernel.stat import parse_stat
from airmem.kernel.status import parse_status
from airmem.model.descriptor import Descriptor
from airmem.model.waiting import HangProcess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.collect.hang_source import HangFiles, HangReader
    from airmem.collect.pressure import Pressures
    from airmem.kernel.source import ProcessFiles
    from airmem.model.gap import Gap
    from airmem.model.process import Process
    from airmem.model.waiting import MappedFile, Mount

PATIENCE_SECONDS = 1.0
UNINTERRUPTIBLE = "D"
"""A process in this state may hold the lock of its address space, which cmdline and maps wait for."""

OBJECT_LINKS = ("socket:[", "pipe:[")


class ProcessReader:
    """Reads processes; mounts are read once for each mount namespace. `gaps` tells what was refused."""

    def __init__(self, reader: HangReader, pressures: Pressures) -> None:
        self._reader = reader
        self._pressures = pressures
        self._mounts: dict[str, dict[int, Mount]] = {}
        self.gaps: list[Gap] = []

    def read(self, pid: int) -> HangProcess:
        """Return what one process shows. Errors: OSError, Malformed when it is gone."""
        with self._reader.process(pid) as files:
            process = parse_stat(files.read("stat"))
            thread = living_thread(files, process)
            if thread == pid:
                return self._read_by(files, process, thread)
        with self._reader.process(thread) as files:
            return self._read_by(files, process, thread)

    def _read_by(self, files: HangFiles, process: Process, thread: int) -> HangProcess:
        """Return what a process shows under the id of one of its threads."""
        pid = process.pid
        fields = parse_status(files.read("status"))
        process = process.with_arguments(self._arguments(files, process))
        executable = _link(files, "exe")
        mappings, version, has_python = self._mappings(files, process, executable)
        mount_namespace = _link(files, "ns/mnt")
        mounts = self._mount_table(files, mount_namespace)
        user_ids = fields.get(b"Uid", b"").split()
        return HangProcess(
            process=process,
            living_pid=thread,
            depth="none" if process.is_zombie else "status" if mappings is None else "full",
            has_python=has_python,
            python_version=version,
            executable=executable,
            tracer_pid=_integer(fields.get(b"TracerPid")) or 0,
            caught_signals_mask=_mask(fields.get(b"SigCgt")),
            user_id=_integer(user_ids[1]) if len(user_ids) > 1 else None,
            network_namespace=_link(files, "ns/net"),
            pid_namespace=_link(files, "ns/pid"),
            namespace_pid=innermost_id(fields, b"NStgid") or pid,
            mount_namespace=mount_namespace,
            descriptors=None if process.is_zombie else self._descriptors(files, pid, mounts),
            mappings=mappings,
            mounts=tuple(mounts.values()) if mounts else None,
            cgroup=self._pressures.of(files),
        )

    def _arguments(self, files: ProcessFiles, process: Process) -> tuple[str, ...]:
        try:
            return parse_cmdline(self._read(files, "cmdline", process))
        except OSError:
            return ()

    def _mappings(
        self, files: ProcessFiles, process: Process, executable: str
    ) -> tuple[tuple[MappedFile, ...] | None, str, bool]:
        """Return the mappings, the version of Python, and whether it runs Python at all."""
        raw, mappings = b"", None
        try:
            raw = self._read(files, "maps", process)
            mappings = parse_maps(raw)
        except PermissionError:
            self._refused(process.pid, "mappings")
        except TimeoutError as problem:
            self.gaps.append(gap(process.pid, "mappings", "no_answer", str(problem.strerror)))
        except OSError:
            pass  # it is ending
        version, evidence = parse_python_version(raw, executable.encode(errors="surrogateescape"))
        return mappings, version, bool(evidence)

    def _read(self, files: ProcessFiles, name: str, process: Process) -> bytes:
        limit = READ_BYTES if name == "cmdline" else None
        if process.state != UNINTERRUPTIBLE:
            return files.read(name, limit)
        return within(PATIENCE_SECONDS, lambda: files.read(name, limit))

    def _mount_table(self, files: ProcessFiles, namespace: str) -> dict[int, Mount]:
        if namespace not in self._mounts or not namespace:
            found: dict[int, Mount] = {}
            with suppress(OSError):
                found = parse_mount_table(files.read("mountinfo"))
            self._mounts[namespace] = found
        return self._mounts[namespace]

    def _descriptors(self, files: ProcessFiles, pid: int, mounts: dict[int, Mount]) -> dict[int, Descriptor] | None:
        try:
            numbers = sorted(int(name) for name in files.entries("fd"))
            found = {}
            for number in numbers:
                with suppress(FileNotFoundError):  # closed meanwhile
                    found[number] = _descriptor(files, number, mounts)
        except PermissionError:
            self._refused(pid, "descriptors")
            return None
        except OSError:
            return None
        return found

    def _refused(self, pid: int, fact: str) -> None:
        reason, detail = explain_denial(self._reader, pid)
        self.gaps.append(gap(pid, fact, reason, detail))


def _descriptor(files: ProcessFiles, number: int, mounts: dict[int, Mount]) -> Descriptor:
    link = files.link(f"fd/{number}")
    flags = parse_fdinfo(files.read(f"fdinfo/{number}"))
    mount = mounts.get(flags.mount_id) if flags.mount_id is not None else None
    is_epoll = link == "anon_inode:[eventpoll]"
    return Descriptor(
        number_id=number,
        link=link,
        inode=object_inode(link) or flags.inode,
        device=None if mount is None else mount.device,
        access=flags.access,
        is_nonblocking=flags.is_nonblocking,
        position_bytes=flags.position_bytes,
        watched=flags.watched if is_epoll else None,
        locks=flags.locks,
        process_id=flags.process_id,
    )


def object_inode(link: str) -> int | None:
    """Return the inode of a socket or pipe from the link of its descriptor, None for other things."""
    if not link.startswith(OBJECT_LINKS):
        return None
    number = link.partition("[")[2].rstrip("]")
    return int(number) if number.isascii() and number.isdecimal() else None


def innermost_id(fields: dict[bytes, bytes], name: bytes = b"NSpid") -> int | None:
    """Return the id of a thread, or of its process (NStgid), in its own pid namespace, from its status (proc(5)).

    None on kernels before 4.1.
    """
    return _integer(fields[name].split()[-1]) if fields.get(name) else None


def _link(files: ProcessFiles, name: str) -> str:
    try:
        return files.link(name)
    except OSError:
        return ""


def _integer(word: bytes | None) -> int | None:
    return int(word) if word is not None and word.isdigit() and len(word) <= 20 else None


def _mask(word: bytes | None) -> int | None:
    try:
        return None if word is None else int(word, 16)
    except ValueError:
        return None
