"""What airmem's own pages tell: whether frame numbers show, which are the zero pages, which mappings no RSS counts."""

from __future__ import annotations

import mmap

from airmem.errors import Malformed
from airmem.kernel.maps import UNCOUNTED, parse_maps_ranges
from airmem.kernel.smaps import parse_smaps
from airmem.model.pages import FRAME_MASK
from airmem.units import MIB, PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import ProcessFiles, Source

HUGE_BYTES = 2 * MIB
AREA_BYTES = 4 * HUGE_BYTES + 3 * PAGE_BYTES
"""Room for two aligned huge pages, of a size that nothing else has."""


class OwnPages:
    """What one has to know of this kernel to count pages: the zero pages' frames, and mappings that no RSS counts.

    Best asked before numpy is loaded: it has more mappings to look through than all the rest.
    """

    __slots__ = ("uncounted", "zero_frames")

    def __init__(self, source: Source) -> None:
        self.zero_frames = source.zero_frames()
        self.uncounted = find_uncounted(source)


def shows_frames(source: Source) -> bool:
    """Whether page frame numbers show, probed on a page of airmem's own (pagemap.rst)."""
    marker = object()
    try:
        with source.process(int(source.link("/proc/self"))) as files:
            return bool(_frame_at(files, id(marker)))
    except (OSError, ValueError):
        return False


def find_zero_frames(source: Source) -> tuple[tuple[int, int], ...]:
    """Return the frames (first, count) of the zero page and of the huge zero page, found by mapping them.

    They are present in page tables and counted in no RSS. Where transparent huge pages are off there is no huge one.
    Errors: OSError.
    """
    found: list[tuple[int, int]] = []
    with source.process(int(source.link("/proc/self"))) as files:
        before = set(parse_maps_ranges(files.read("maps")))
        with mmap.mmap(-1, AREA_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ) as area:
            address = _new_area(files, before)
            aligned = -address % HUGE_BYTES
            try:
                area.madvise(mmap.MADV_HUGEPAGE, aligned, HUGE_BYTES)
                area.madvise(mmap.MADV_NOHUGEPAGE, aligned + HUGE_BYTES, HUGE_BYTES)
            except OSError:
                pass  # a kernel without huge pages
            for offset, count in ((aligned + HUGE_BYTES, 1), (aligned, HUGE_BYTES // PAGE_BYTES)):
                area[offset]  # reading maps it
                frame = _frame_at(files, address + offset)
                if frame and all(not first <= frame < first + length for first, length in found):
                    found.append((frame, count))
    return tuple(found)


def find_fresh_frame(source: Source) -> int:
    """Return the page frame of memory that airmem itself has just written, 0 where the number is hidden.

    Errors: OSError.
    """
    marker = object()
    with source.process(int(source.link("/proc/self"))) as files:
        return _frame_at(files, id(marker))


def find_uncounted(source: Source) -> tuple[bytes, ...]:
    """Return the names of the kernel's own mappings that no RSS counts on this kernel, probed on airmem itself."""
    try:
        with source.process(int(source.link("/proc/self"))) as files:
            raw = files.read("smaps")
            return tuple(name for name in UNCOUNTED if not _is_counted(raw, name))
    except (OSError, ValueError, Malformed):
        return UNCOUNTED


def _is_counted(smaps: bytes, name: bytes) -> bool:
    """Whether RSS counts pages of the mapping with this name; only its own lines are parsed, of hundreds."""
    at = smaps.find(b" " + name + b"\n")
    if at < 0:
        return False
    mappings = parse_smaps(smaps[smaps.rfind(b"\n", 0, at) + 1 : smaps.find(b"VmFlags", at)])
    return bool(mappings[0].account.rss_bytes)


def _new_area(files: ProcessFiles, before: set[tuple[int, int, bool]]) -> int:
    """Return where the area was mapped; a read-only one has no like among its neighbors to be merged with."""
    for start, end, is_counted in parse_maps_ranges(files.read("maps")):
        if end - start == AREA_BYTES and (start, end, is_counted) not in before:
            return start
    raise OSError("the new mapping does not show in /proc/self/maps")


def _frame_at(files: ProcessFiles, address: int) -> int:
    word = bytearray(8)
    files.read_words("pagemap", ((address // PAGE_BYTES, 1),), memoryview(word))
    return int.from_bytes(word, "little") & FRAME_MASK
