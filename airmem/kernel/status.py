"""/proc/PID/status (proc(5)): readable by everybody, so the last resort for memory and the source of causes."""

from __future__ import annotations

from airmem.model.credentials import Credentials
from airmem.model.memory import MemoryAccount

KB = 1024
MOST_DIGITS = 20


def parse_status(raw: bytes) -> dict[bytes, bytes]:
    """Return the fields by their whole names, values stripped."""
    fields: dict[bytes, bytes] = {}
    for line in raw.split(b"\n"):
        key, separator, value = line.partition(b":")
        if separator:
            fields[key] = value.strip()
    return fields


def parse_status_account(fields: dict[bytes, bytes]) -> MemoryAccount:
    """Return what status tells of memory: RSS and swap, in bytes; the kernel's counters lag by a few pages."""
    return MemoryAccount(
        rss_bytes=_kilobytes(fields.get(b"VmRSS")),
        swap_bytes=_kilobytes(fields.get(b"VmSwap")),
        hugetlb_bytes=_kilobytes(fields.get(b"HugetlbPages")),
    )


def parse_credentials(fields: dict[bytes, bytes], owner_uid: int) -> Credentials:
    """Return who the process is; fields that an old kernel or gVisor leaves out are empty or 0."""
    return Credentials(
        user_ids=_integers(fields.get(b"Uid", b"")),
        group_ids=_integers(fields.get(b"Gid", b"")),
        permitted_capabilities=_mask(fields.get(b"CapPrm", b"")),
        effective_capabilities=_mask(fields.get(b"CapEff", b"")),
        owner_uid=owner_uid,
        seccomp_mode=next(iter(_integers(fields.get(b"Seccomp", b""))), 0),
        namespace_pids=_integers(fields.get(b"NSpid", b"")),
    )


def _integers(value: bytes) -> tuple[int, ...]:
    return tuple(int(word) for word in value.split() if word.isdigit() and len(word) <= MOST_DIGITS)


def _mask(value: bytes) -> int:
    try:
        return int(value, 16)
    except ValueError:
        return 0


def _kilobytes(value: bytes | None) -> int | None:
    numbers = _integers(value.split()[0]) if value else ()
    return numbers[0] * KB if numbers else None
