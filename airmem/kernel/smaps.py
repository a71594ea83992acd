"""/proc/PID/smaps and smaps_rollup (Documentation/filesystems/proc.rst).

Keys are matched whole: kernels add rows (Pss_Anon in 5.3, Pss_Dirty in 6.0, KSM in 6.7), and a sum by prefix once
killed jobs at CERN (WMCore issue 11667). Unknown rows are skipped.
"""

from __future__ import annotations

from airmem.errors import Malformed
from airmem.model.memory import MemoryAccount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.mapping import Mapping

KB = 1024
MOST_DIGITS = 20
HEX_DIGITS = frozenset(b"0123456789abcdef")


def parse_smaps_rollup(raw: bytes) -> MemoryAccount:
    """Return the account of a whole process, in bytes. Errors: Malformed."""
    return _account(_rows(raw.split(b"\n")[1:], "smaps_rollup"), "smaps_rollup")


def parse_smaps(raw: bytes) -> tuple[Mapping, ...]:
    """Return every mapping with its account, in the order of the file (ascending addresses). Errors: Malformed."""
    mappings = []
    lines = raw.split(b"\n")
    headers = [number for number, line in enumerate(lines) if line and line[0] in HEX_DIGITS]
    for first, end in zip(headers, [*headers, len(lines)][1:], strict=True):
        mappings.append(_mapping(lines[first], lines[first + 1 : end], first + 1))
    if not headers and raw.strip():
        raise Malformed("smaps, line 1: no mapping begins here")
    return tuple(mappings)


def sum_mappings(mappings: tuple[Mapping, ...]) -> MemoryAccount:
    """Return the account of a process from its mappings, where the kernel has no smaps_rollup.

    The PSS comes out lower by up to 1 KiB a mapping, as smaps rounds each one down. Its division by anonymous,
    file and shared memory is unknown: only smaps_rollup has it.
    """
    accounts = [mapping.account for mapping in mappings]

    def total(name: str) -> int | None:
        values = [getattr(account, name) for account in accounts]
        return None if None in values else sum(values)

    return MemoryAccount(
        rss_bytes=total("rss_bytes"),
        pss_bytes=total("pss_bytes"),
        private_clean_bytes=total("private_clean_bytes"),
        private_dirty_bytes=total("private_dirty_bytes"),
        shared_clean_bytes=total("shared_clean_bytes"),
        shared_dirty_bytes=total("shared_dirty_bytes"),
        swap_bytes=total("swap_bytes"),
        swap_pss_bytes=total("swap_pss_bytes"),
        hugetlb_bytes=total("hugetlb_bytes"),
    )


def _mapping(header: bytes, rows: list[bytes], line_number: int) -> Mapping:
    from airmem.model.mapping import Mapping  # noqa: PLC0415  # most looks need no mappings

    fields = header.split(None, 5)
    start, separator, end = fields[0].partition(b"-")
    try:
        if not separator:
            raise ValueError(header)
        return Mapping(
            start_address=int(start, 16),
            end_address=int(end, 16),
            permissions=fields[1].decode("ascii"),
            inode=int(fields[4]),
            name=fields[5].decode(errors="surrogateescape") if len(fields) > 5 else "",
            is_hugetlb=any(row.startswith(b"VmFlags:") and b" ht" in row for row in rows),
            account=_account(_rows(rows, f"smaps, line {line_number}"), f"smaps, line {line_number}"),
        )
    except (ValueError, IndexError) as problem:
        raise Malformed(f"smaps, line {line_number}: not the head of a mapping: {header[:80]!r}") from problem


def _rows(lines: list[bytes], where: str) -> dict[bytes, int]:
    rows: dict[bytes, int] = {}
    for line in lines:
        words = line.split()
        if len(words) == 3 and words[2] == b"kB" and words[0].endswith(b":"):
            if not words[1].isdigit() or len(words[1]) > MOST_DIGITS:
                raise Malformed(f"{where}: not a number of kB: {line[:80]!r}")
            rows[words[0][:-1]] = int(words[1])
    return rows


def _account(rows: dict[bytes, int], where: str) -> MemoryAccount:
    if b"Rss" not in rows or b"Pss" not in rows:
        raise Malformed(f"{where}: no Rss and Pss", "The file may be cut short; read it again from a living process.")
    return account_of(rows)


def account_of(rows: dict[bytes, int]) -> MemoryAccount:
    """Return the account, in bytes, that rows of smaps tell, in kB by their whole keys; what they lack is unknown."""

    def size(key: bytes) -> int | None:
        value = rows.get(key)
        return None if value is None else value * KB

    private, shared = rows.get(b"Private_Hugetlb"), rows.get(b"Shared_Hugetlb")
    return MemoryAccount(
        rss_bytes=size(b"Rss"),
        pss_bytes=size(b"Pss"),
        private_clean_bytes=size(b"Private_Clean"),
        private_dirty_bytes=size(b"Private_Dirty"),
        shared_clean_bytes=size(b"Shared_Clean"),
        shared_dirty_bytes=size(b"Shared_Dirty"),
        pss_anon_bytes=size(b"Pss_Anon"),
        pss_file_bytes=size(b"Pss_File"),
        pss_shmem_bytes=size(b"Pss_Shmem"),
        swap_bytes=size(b"Swap"),
        swap_pss_bytes=size(b"SwapPss"),
        hugetlb_bytes=None if private is None or shared is None else (private + shared) * KB,
    )
