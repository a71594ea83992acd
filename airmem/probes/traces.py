"""Folders of traces: one for each trace, with its captures and a document that says what they are.

    PLACE/scheduler-20261120T161530-4711/trace.json      what was traced, how, and what became of it
                                         scheduler-HOST-PID-TIME.bin
                                         state.json      written by the supervisor of an attached memray
                                         writers         what the traced processes note at their end (writer_notes)

Nothing here follows a symbolic link or replaces a file of somebody else.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from contextlib import suppress

from airmem.errors import NotPermitted, UsageProblem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DOCUMENT = "trace.json"
STATE = "state.json"
PLAN = "plan.json"
ATTEMPT = "attempt"
CAPTURE = ".bin"
CHILD = "-child-"
WRITERS = "writers"
OWN_NAMES = (DOCUMENT, STATE, PLAN, WRITERS, f"{STATE}.partial", f"{DOCUMENT}.partial")
MOST_BYTES = 1 << 20
SPARE_BYTES = 1 << 14
"""Room in a document for what is noted in it later, when the disk may be full."""

ROOM = "Name a folder that is writable and has room with -o DIR."


def default_place() -> str:
    """Return where traces lie unless told otherwise: on disk, and where a target of another user can write."""
    return os.environ.get("AIRMEM_TRACES") or f"/var/tmp/airmem-{os.geteuid()}"  # noqa: S108  # checked when used


def name_capture(label: str, pid: int) -> str:
    """Return the name of the capture of a process that recording begins in now."""
    when = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return f"{label}-{os.uname().nodename}-{pid}-{when}{CAPTURE}"


def make_folder(place: str, label: str, shared: bool) -> str:
    """Make and return a folder of its own for a trace below `place`, which is made if it is missing.

    Others may pass through it if it is `shared`, to the folder in which a target of another user writes. Errors:
    UsageProblem when it cannot be made, or when `place` is a link or somebody else's.
    """
    when = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    folder = os.path.join(os.path.abspath(place), f"{label}-{when}-{os.getpid()}")
    try:
        with suppress(FileExistsError):
            os.makedirs(place, 0o711 if shared else 0o700)
        _check_place(place)
        os.mkdir(folder, 0o700)
        os.chmod(folder, 0o711 if shared else 0o700)
    except OSError as problem:
        raise UsageProblem(f"cannot make {folder}: {problem.strerror}", ROOM) from problem
    return folder


def _check_place(place: str) -> None:
    """Refuse a place that others prepared: in /var/tmp anybody may make a folder of this name first."""
    found = os.lstat(place)
    if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
        raise UsageProblem(f"{place} is no folder of its own", ROOM)
    is_public = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
    if found.st_uid not in (os.geteuid(), 0) or is_public:
        raise UsageProblem(f"{place} belongs to somebody else, or anybody may change what is in it", ROOM)


def make_attempt(folder: str, user_id: int, group_id: int) -> str:
    """Make the folder in which the target itself creates its capture."""
    attempt = os.path.join(folder, ATTEMPT)
    os.mkdir(attempt, 0o700)
    if user_id != os.geteuid():
        os.chown(attempt, user_id, group_id)
    return attempt


def write_document(folder: str, name: str, document: dict[str, Any]) -> None:
    """Write a document into a trace's folder, whole or not at all. Errors: UsageProblem.

    On a full disk one that is there already is written over, in the room that it has: each has some to spare.
    """
    path = os.path.join(folder, name)
    text = json.dumps(document)
    try:
        try:
            _write(f"{path}.partial", text.ljust(len(text) + SPARE_BYTES), os.O_CREAT | os.O_TRUNC)
            os.replace(f"{path}.partial", path)
        except OSError as problem:
            if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            with suppress(OSError):
                os.unlink(f"{path}.partial")
            room = os.stat(path).st_size
            if len(text) > room:
                raise
            _write(path, text.ljust(room), 0)
    except OSError as problem:
        raise UsageProblem(f"cannot write {path}: {problem.strerror}", ROOM) from problem


def _write(path: str, text: str, more: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | more, 0o600)
    with open(file, "w", encoding="ascii") as stream:
        stream.write(text)


def make_notes(folder: str) -> None:
    """Make the file in which each traced process notes its end, with room. Errors: UsageProblem when there is none."""
    path = os.path.join(folder, WRITERS)
    try:
        _write(path, "\0" * SPARE_BYTES, os.O_CREAT | os.O_EXCL)
    except OSError as problem:
        raise UsageProblem(f"cannot write {path}: {problem.strerror}", ROOM) from problem


def read_notes(folder: str) -> str:
    """Return what traced processes have noted, empty if there is nothing."""
    return _read(folder, WRITERS).rstrip(b"\0").decode(errors="replace")


def read_document(folder: str, name: str) -> dict[str, Any] | None:
    """Return a document of a trace's folder, None if there is none that can be read."""
    try:
        found = json.loads(_read(folder, name))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _read(folder: str, name: str) -> bytes:
    try:
        file = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(file, "rb") as stream:
            return stream.read(MOST_BYTES)
    except OSError:
        return b""


def trace_folders(place: str) -> list[str]:
    """Return the folders of traces in a place, by name; empty if there is no such place.

    Errors: NotPermitted when the place is somebody else's.
    """
    try:
        names = sorted(os.listdir(place))
    except PermissionError as problem:
        who = "Run airmem as the user whose traces they are, or as root."
        raise NotPermitted(f"the traces in {place} may not be listed by uid {os.geteuid()}", who) from problem
    except OSError:
        return []
    folders = [os.path.join(place, name) for name in names]
    return [one for one in folders if not os.path.islink(one) and os.path.isfile(os.path.join(one, DOCUMENT))]


def hidden_folders(place: str) -> list[str]:
    """Return the folders in a place that may be traces of others: they cannot be entered."""
    with suppress(OSError):
        folders = [os.path.join(place, name) for name in sorted(os.listdir(place))]
        return [one for one in folders if os.path.isdir(one) and not os.access(one, os.X_OK)]
    return []


def capture_files(folder: str) -> list[tuple[str, int]]:
    """Return the captures of a trace with their sizes in bytes, those that are still being made too."""
    found = []
    for inner in (folder, os.path.join(folder, ATTEMPT)):
        with suppress(OSError):
            for entry in os.scandir(inner):
                if is_capture(entry.name) and entry.is_file(follow_symlinks=False):
                    found.append((entry.path, entry.stat(follow_symlinks=False).st_size))
    return sorted(found)


def capture_file(path: str) -> list[tuple[str, int]]:
    """Return one capture outside a trace's folder with its size in bytes, none where there is none."""
    with suppress(OSError):
        if path:
            return [(path, os.stat(path).st_size)]
    return []


def is_capture(name: str) -> bool:
    """Whether a file is named like a capture: X.bin, or X.bin.PID of a child while it is being recorded."""
    stem, _, pid = name.rpartition(".")
    return name.endswith(CAPTURE) or (pid.isdecimal() and stem.endswith(CAPTURE))


def read_name(path: str) -> tuple[int | None, str]:
    """Return (pid, parent or child) that the name of a capture tells; the pid is None if it tells none."""
    name = os.path.basename(path)
    stem, _, pid = name.rpartition(".")
    if pid.isdecimal() and stem.endswith(CAPTURE):
        return int(pid), "child"
    words = name.removesuffix(CAPTURE).rsplit("-", 2)
    return (int(words[1]) if len(words) == 3 and words[1].isdecimal() else None), "parent"


def is_settled(path: str) -> bool:
    """Whether the capture of a child has a name of its own already."""
    return CHILD in os.path.basename(path)


def settle_child(path: str) -> str:
    """Give the capture of a child that has ended a name of its own, and return it.

    memray names it after the parent's capture and the child's pid, and replaces it when the pid is used again. It still
    ends with the pid, by which readers know a child's.
    """
    stem, _, pid = path.rpartition(".")
    label = stem.removesuffix(CAPTURE).rsplit("-", 2)[0]
    at = time.strftime("%Y%m%dT%H%M%S", time.gmtime(os.stat(path).st_mtime))
    for attempt in range(1000):
        settled = f"{label}{CHILD}{at}{f'.{attempt}' if attempt else ''}{CAPTURE}.{pid}"
        with suppress(FileExistsError):
            os.link(path, settled, follow_symlinks=False)  # unlike a rename, this never replaces
            os.unlink(path)
            return settled
    return path


def remove_folder(folder: str) -> int:
    """Remove a trace's folder with the files that a trace makes, and return how many bytes that freed.

    Files that airmem did not make stay, and so does their folder.
    """
    freed = 0
    for path, size_bytes in capture_files(folder):
        os.unlink(path)
        freed += size_bytes
    for name in OWN_NAMES:
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))
    for inner in (os.path.join(folder, ATTEMPT), folder):
        with suppress(OSError):
            os.rmdir(inner)
    return freed


def free_bytes(path: str) -> int:
    """Return the free space of the file system of a path, or of the nearest folder above it that exists."""
    where = os.path.abspath(path)
    while not os.path.isdir(where):
        where = os.path.dirname(where)
    room = os.statvfs(where)
    return room.f_bavail * room.f_frsize


def move_aside(path: str) -> str | None:
    """Rename a file that is in the way, and return its new name; None if there is none.

    Errors: UsageProblem when it is no file, or cannot be renamed.
    """
    if not os.path.lexists(path):
        return None
    if not os.path.isfile(path) or os.path.islink(path):
        raise UsageProblem(f"{path} is in the way and no file", "Move it away.")
    at = time.strftime("%Y%m%dT%H%M%S", time.gmtime(os.stat(path).st_mtime))
    for attempt in range(1000):
        aside = f"{path.removesuffix(CAPTURE)}-{at}{f'.{attempt}' if attempt else ''}{CAPTURE}"
        try:
            os.link(path, aside)
        except FileExistsError:
            continue
        except OSError as problem:
            raise UsageProblem(f"cannot rename {path}: {problem.strerror}", "Move it away.") from problem
        os.unlink(path)
        return aside
    raise UsageProblem(f"there are too many old captures beside {path}", "Move them away.")


def take_in(path: str, folder: str, name: str) -> str:
    """Move a capture into a trace's folder, where that is on the same file system; return where it is now."""
    target = os.path.join(folder, name)
    with suppress(OSError):
        os.link(path, target, follow_symlinks=False)
        os.unlink(path)
        return target
    return path
