"""/proc/PID/fdinfo/N (Documentation/filesystems/proc.rst, section 3.8) and /proc/locks (proc(5))."""

from __future__ import annotations

from typing import NamedTuple

from airmem.model.descriptor import HeldLock

ACCESS = ("r", "w", "rw", "")
"""O_RDONLY, O_WRONLY, O_RDWR are the lowest two bits of the flags."""

NONBLOCKING = 0o4000
"""O_NONBLOCK on every machine but Alpha, MIPS and PA-RISC."""

MOST_DIGITS = 20
END_OF_FILE = b"EOF"


class DescriptorFlags(NamedTuple):
    """What fdinfo says of a descriptor; None where a kernel does not say it."""

    access: str
    is_nonblocking: bool | None
    position_bytes: int | None
    mount_id: int | None
    inode: int | None
    watched: tuple[int, ...]
    process_id: int | None
    locks: tuple[HeldLock, ...]


def parse_fdinfo(raw: bytes) -> DescriptorFlags:
    """Return what a file of fdinfo says; lines of another form are skipped."""
    fields: dict[bytes, bytes] = {}
    watched, locks = [], []
    for line in raw.split(b"\n"):
        key, separator, value = line.partition(b":")
        if key == b"lock":
            if lock := parse_lock(value):
                locks.append(lock)
        elif key == b"tfd":
            number = value.split()[:1]
            if number and number[0].isdigit():
                watched.append(int(number[0]))
        elif separator:
            fields.setdefault(key, value.strip())
    flags = _octal(fields.get(b"flags"))
    return DescriptorFlags(
        access="" if flags is None else ACCESS[flags & 3],
        is_nonblocking=None if flags is None else bool(flags & NONBLOCKING),
        position_bytes=_decimal(fields.get(b"pos")),
        mount_id=_decimal(fields.get(b"mnt_id")),
        inode=_decimal(fields.get(b"ino")),
        watched=tuple(watched),
        process_id=_decimal(fields.get(b"Pid")),
        locks=tuple(locks),
    )


def parse_locks(raw: bytes) -> tuple[HeldLock, ...]:
    """Return the locks on files of the whole system, and who waits for them; other lines are skipped."""
    return tuple(lock for line in raw.split(b"\n") if (lock := parse_lock(line)))


def parse_lock(line: bytes) -> HeldLock | None:
    """Return a line such as `1: -> FLOCK  ADVISORY  WRITE 4242 fe:00:77 0 EOF` (`->` waits), None for another form."""
    words = line.split()
    is_waiting = words[1:2] == [b"->"]
    if is_waiting:
        del words[1]
    try:
        number, kind, _, mode, owner, place, start, end = words[:8]
        device, _, inode = place.decode("ascii").rpartition(":")
        return HeldLock(
            number_id=int(number.rstrip(b":")),
            kind=kind.decode("ascii"),
            mode=mode.decode("ascii"),
            owner_pid=int(owner),
            device=device,
            inode=int(inode),
            start_bytes=int(start),
            end_bytes=None if end == END_OF_FILE else int(end),
            is_waiting=is_waiting,
        )
    except ValueError:
        return None


def _decimal(word: bytes | None) -> int | None:
    return int(word) if word is not None and word.isdigit() and len(word) <= MOST_DIGITS else None


def _octal(word: bytes | None) -> int | None:
    try:
        return None if word is None else int(word, 8)
    except ValueError:
        return None
