"""The folder that guard keeps its bundles in: found where something can be written, of bounded size, one at a time."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from airmem.errors import UsageProblem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX, SUFFIX, PARTIAL = "airmem-guard-", ".tar.gz", ".partial"
LOCK = ".airmem-guard.lock"
MOST_BYTES = 64 << 20
"""A bundle that would be larger is written without raw files: the verdict alone."""

ANOTHER = "Name another folder: --bundle-dir DIR"

PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/run")  # noqa: S108  # a folder of one's own is made in the first that works
"""Tried in this order without --bundle-dir: on a read-only root /dev/shm can be written even in a container."""


def find_folder(given: str | None) -> str:
    """Return a folder of airmem's own user that can be written, made if need be. Errors: UsageProblem."""
    if given is not None:
        return _own_folder(given, given)
    places = [place for place in (os.environ.get("TMPDIR"), *PLACES) if place]
    for place in places:
        with suppress(UsageProblem):
            return _own_folder(os.path.join(place, f"airmem-guard-{os.geteuid()}"), place)
    raise UsageProblem(
        f"none of {', '.join(places)} can be written", "Mount a folder (an emptyDir) and name it: --bundle-dir DIR"
    )


def _own_folder(path: str, named: str) -> str:
    """Make a folder if it is not there, and see that it is no link, belongs to airmem's user, and can be written."""
    try:
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
        found = os.lstat(path)
    except OSError as problem:
        raise UsageProblem(f"{path} cannot be made: {problem.strerror}", ANOTHER) from problem
    if not stat.S_ISDIR(found.st_mode):
        raise UsageProblem(f"{path} is no folder", "airmem does not write through links; name another.")
    if path != named and (found.st_uid != os.geteuid() or found.st_mode & 0o022):
        raise UsageProblem(f"{path} belongs to somebody else", ANOTHER)
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageProblem(f"{path} cannot be written", ANOTHER)
    return path


def bundles_in(folder: str) -> list[str]:
    """Return the bundles in a folder, oldest first."""
    names = [name for name in os.listdir(folder) if name.startswith(PREFIX) and name.endswith(SUFFIX)]
    return sorted(os.path.join(folder, name) for name in names)


def last_written_at(folder: str) -> float | None:
    """Return when the newest bundle was written, in seconds since 1970, None if there is none."""
    times = []
    for path in bundles_in(folder):
        with suppress(FileNotFoundError):
            times.append(os.stat(path).st_mtime)
    return max(times, default=None)


def lock(folder: str) -> int | None:
    """Return the descriptor of the lock that lets one guard at a time write, None if another has it.

    The kernel lets go of it when its holder ends, however that happens. Errors: UsageProblem.
    """
    from fcntl import LOCK_EX, LOCK_NB, flock  # noqa: PLC0415  # only when a check has failed

    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(os.path.join(folder, LOCK), flags, 0o600)
    except OSError as problem:
        raise UsageProblem(
            f"{folder} cannot be written: {problem.strerror}", "Name another: --bundle-dir D"
        ) from problem
    try:
        flock(file, LOCK_EX | LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def keep_newest(folder: str, count: int) -> None:
    """Remove all bundles but the newest, and what an earlier guard did not finish. Call it with the lock held."""
    partial = [name for name in os.listdir(folder) if name.startswith(PREFIX) and name.endswith(PARTIAL)]
    old = bundles_in(folder)[: -count or None] if count else bundles_in(folder)
    for path in (*(os.path.join(folder, name) for name in partial), *old):
        with suppress(OSError):
            os.unlink(path)


def write_bundle(folder: str, packed: bytes, stamp: str) -> str:
    """Write a bundle under a name with a time stamp in it, whole or not at all; return its path.

    Errors: UsageProblem.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for name in _names(stamp):
        path = os.path.join(folder, name)
        if os.path.lexists(path):
            continue
        try:
            with open(os.open(path + PARTIAL, flags, 0o600), "wb") as stream:
                stream.write(packed)
            os.replace(path + PARTIAL, path)
        except OSError as problem:
            with suppress(OSError):
                os.unlink(path + PARTIAL)
            raise UsageProblem(f"cannot write {path}: {problem.strerror}", "Give a place that has room.") from problem
        return path
    raise UsageProblem(f"cannot find a name in {folder}", "Empty it.")


def _names(stamp: str) -> Iterator[str]:
    yield f"{PREFIX}{stamp}{SUFFIX}"
    for number in range(1, 100):
        yield f"{PREFIX}{stamp}-{number:02}{SUFFIX}"
