"""/proc/PID/maps (proc(5)) in full. Apart from kernel/maps.py, whose users load no nouns."""

from __future__ import annotations

from airmem.kernel.maps import KERNEL_HALF
from airmem.model.waiting import MappedFile


def parse_maps(raw: bytes) -> tuple[MappedFile, ...]:
    """Return the mappings in user space, ascending; other lines are skipped."""
    found = []
    for line in raw.split(b"\n"):
        fields = line.split(None, 5)
        try:
            start, _, end = fields[0].partition(b"-")
            mapping = MappedFile(
                start_address=int(start, 16),
                end_address=int(end, 16),
                permissions=fields[1].decode("ascii"),
                offset_bytes=int(fields[2], 16),
                device=fields[3].decode("ascii"),
                inode=int(fields[4]),
                name=fields[5].decode(errors="surrogateescape") if len(fields) > 5 else "",
            )
        except (ValueError, IndexError):
            continue
        if mapping.start_address < KERNEL_HALF:
            found.append(mapping)
    return tuple(found)
