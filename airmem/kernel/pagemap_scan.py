"""PAGEMAP_SCAN (admin-guide/mm/pagemap.rst, Linux 6.7): which pages are huge or zero, told without page frames.

Whoever may open a pagemap may ask. Older kernels refuse the request.
"""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING

from airmem.units import PAGE_BYTES

if TYPE_CHECKING:
    from airmem.kernel.source import ProcessFiles

REQUEST = 0xC0606610
"""_IOWR('f', 16, struct pm_scan_arg) of include/uapi/linux/fs.h."""

IS_ZERO, IS_HUGE = 1 << 5, 1 << 6
ARGUMENT = struct.Struct("=12Q")
ARGUMENT_BYTES = 96
REGION_WORDS = 3
ROOM_REGIONS = 4096
END_ADDRESS = (1 << 47) - PAGE_BYTES
"""The last page of user space is nobody's, and who asks for it is refused (access_ok)."""


def scan_zero_and_huge(files: ProcessFiles) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the runs of pages (first, end) of a process that are zero pages, and those mapped by huge entries.

    Errors: OSError where the kernel does not know the request, or nobody can be asked (a capture).
    """
    zero: list[tuple[int, int]] = []
    huge: list[tuple[int, int]] = []
    room = array("Q", bytes(8 * REGION_WORDS * ROOM_REGIONS))
    at = 0
    while at < END_ADDRESS:
        argument = bytearray(
            ARGUMENT.pack(
                *(ARGUMENT_BYTES, 0, at, END_ADDRESS, 0, room.buffer_info()[0], ROOM_REGIONS, 0),
                *(0, 0, IS_ZERO | IS_HUGE, IS_ZERO | IS_HUGE),
            )
        )
        count = files.control("pagemap", REQUEST, argument)
        for region in range(count):
            start, end, kinds = room[region * REGION_WORDS : (region + 1) * REGION_WORDS]
            (zero if kinds & IS_ZERO else huge).append((start // PAGE_BYTES, end // PAGE_BYTES))
        walked_to: int = ARGUMENT.unpack(argument)[4]
        if walked_to <= at:
            break
        at = walked_to
    return zero, huge
