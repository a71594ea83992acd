"""/proc/PID/mountinfo (proc(5), Documentation/filesystems/proc.rst section 3.5)."""

from __future__ import annotations


def parse_mounts(raw: bytes, kind: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (root within the file system, mount point, super options) of each mount of this kind, in order.

    Octal escapes (space, tab, newline, backslash) are undone. Lines of another form are skipped.
    """
    mounts = []
    for line in raw.decode(errors="surrogateescape").split("\n"):
        before, separator, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if separator and len(fields) >= 6 and rest[0] == kind:
            options = tuple(fields[5].split(",")) + tuple(rest[-1].split(","))
            mounts.append((unescape(fields[3]), unescape(fields[4]), options))
    return mounts


def unescape(path: str) -> str:
    """Return a path with the octal escapes of space, tab, newline and backslash undone."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, character)
    return path
