"""/proc/PID/maps (proc(5))."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.anonymous import AddressRange

KERNEL_HALF = 1 << 63
UNCOUNTED = (b"[vvar]", b"[vvar_vclock]", b"[vsyscall]")
"""Pages of the kernel's own, which pagemap may show as present and no RSS counts; from Linux 7 on it counts [vvar]."""


def parse_maps_ranges(raw: bytes, uncounted: tuple[bytes, ...] = UNCOUNTED) -> list[tuple[int, int, bool]]:
    """Return (start address, end address, counted) of each mapping in user space, ascending.

    `counted` is False for those mappings of the kernel's own that no RSS holds. Other lines are skipped.
    """
    ranges = []
    for line in raw.split(b"\n"):
        addresses, separator, rest = line.partition(b" ")
        start, dash, end = addresses.partition(b"-")
        if not (separator and dash):
            continue
        try:
            first, last = int(start, 16), int(end, 16)
        except ValueError:
            continue
        if first < KERNEL_HALF:
            ranges.append((first, last, not (rest.endswith(uncounted) and rest.split(None, 4)[-1] in uncounted)))
    return ranges


def parse_maps(raw: bytes) -> tuple[AddressRange, ...]:
    """Return each mapping in user space with its permissions, inode and name, ascending. Other lines are skipped.

    Bytes of a name that are not UTF-8 become surrogates.
    """
    from airmem.model.anonymous import AddressRange  # noqa: PLC0415  # most looks need no names

    found = []
    for line in raw.split(b"\n"):
        fields = line.split(None, 5)
        start, dash, end = fields[0].partition(b"-") if fields else (b"", b"", b"")
        if not dash or len(fields) < 5:
            continue
        try:
            first, last, inode = int(start, 16), int(end, 16), int(fields[4])
        except ValueError:
            continue
        if first < KERNEL_HALF:
            permissions = fields[1].decode("ascii", "replace")
            name = fields[5].decode(errors="surrogateescape") if len(fields) > 5 else ""
            found.append(
                AddressRange(start_address=first, end_address=last, permissions=permissions, inode=inode, name=name)
            )
    return tuple(found)
