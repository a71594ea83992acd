"""PAGEMAP_SCAN (admin-guide/mm/pagemap.rst, Linux 6.7): which pages are huge or zero, told without page frames.

Whoever may open a pagemap may ask. Older kernels refuse the request.
"""

from __future__ import annotations

import struct
from array import array

from airmem.units import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from airmem.kernel.source import ProcessFiles

REQUEST = 0xC0606610
"""_IOWR('f', 16, struct pm_scan_arg) of include/uapi/linux/fs.h."""

IS_ZERO, IS_HUGE = 1 << 5, 1 << 6
ARGUMENT = struct.Struct("=12Q")
ARGUMENT_BYTES = 96
REGION_WORDS = 3
ROOM_REGIONS = 4096


def scan_zero_and_huge(
    files: ProcessFiles, runs: Sequence[tuple[int, int]]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the runs of pages (first, end), among runs (first, count), that are zero pages, and those mapped by huge
    entries.

    The kernel holds the process's mmap lock for all of a run. Errors: OSError where the kernel does not know the
    request, or nobody can be asked (a capture).
    """
    zero: list[tuple[int, int]] = []
    huge: list[tuple[int, int]] = []
    room = array("Q", bytes(8 * REGION_WORDS * ROOM_REGIONS))
    for first, count in runs:
        at, end = first * PAGE_BYTES, (first + count) * PAGE_BYTES
        while at < end:
            argument = bytearray(
                ARGUMENT.pack(
                    *(ARGUMENT_BYTES, 0, at, end, 0, room.buffer_info()[0], ROOM_REGIONS, 0),
                    *(0, 0, IS_ZERO | IS_HUGE, IS_ZERO | IS_HUGE),
                )
            )
            for region in range(files.control("pagemap", REQUEST, argument)):
                start, stop, kinds = room[region * REGION_WORDS : (region + 1) * REGION_WORDS]
                (zero if kinds & IS_ZERO else huge).append((start // PAGE_BYTES, stop // PAGE_BYTES))
            walked_to: int = ARGUMENT.unpack(argument)[4]
            if walked_to <= at:
                break
            at = walked_to
    return zero, huge
