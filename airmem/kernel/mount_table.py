"""/proc/PID/mountinfo in full. Apart from kernel/mountinfo.py, whose users load no nouns."""

from __future__ import annotations

from airmem.kernel.mountinfo import unescape
from airmem.model.waiting import Mount


def parse_mount_table(raw: bytes) -> dict[int, Mount]:
    """Return every mount by its id, in the file's order; lines of another form are skipped."""
    mounts = {}
    for line in raw.decode(errors="surrogateescape").split("\n"):
        before, separator, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if separator and len(fields) >= 6 and len(rest) >= 2 and fields[0].isdecimal():
            mounts[int(fields[0])] = Mount(
                point=unescape(fields[4]), fstype=rest[0], source=unescape(rest[1]), device=_device(fields[2])
            )
    return mounts


def _device(numbers: str) -> str:
    """Return `254:0`, as mountinfo prints a device, as /proc/locks and maps do: `fe:00`."""
    major, _, minor = numbers.partition(":")
    if not (major.isdecimal() and minor.isdecimal()):
        return ""
    return f"{int(major):02x}:{int(minor):02x}"
