"""PAGEMAP_SCAN on this process's own memory."""

from __future__ import annotations

import mmap
import os

import pytest

from airmem.kernel.maps import parse_maps
from airmem.kernel.pagemap_scan import scan_zero_and_huge
from airmem.kernel.reader import KernelReader
from airmem.units import PAGE_BYTES

PAGES = 37


def test_zero_pages_are_found():
    with mmap.mmap(-1, PAGES * PAGE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ) as area:
        area.madvise(mmap.MADV_NOHUGEPAGE)
        touched = [at for at in range(PAGES) if at % 3]
        assert not any(area[at * PAGE_BYTES] for at in touched)
        with KernelReader().process(os.getpid()) as files:
            ranges = parse_maps(files.read("maps"))
            try:
                zero, _ = scan_zero_and_huge(files, [(one.start_address // PAGE_BYTES, PAGES) for one in ranges])
            except OSError as problem:
                pytest.skip(f"PAGEMAP_SCAN is not to be had: {problem}")
    size = PAGES * PAGE_BYTES
    (start,) = [
        one.start_address // PAGE_BYTES
        for one in ranges
        if one.end_address - one.start_address == size and one.permissions == "r--p" and not one.name
    ]
    found = {page - start for first, end in zero for page in range(first, end) if start <= page < start + PAGES}
    assert found == set(touched)
