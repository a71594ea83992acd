"""/proc/PID/maps (proc(5))."""

from __future__ import annotations

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
