"""Which Python a process runs, told by the names of what it maps."""

from __future__ import annotations

import re

PATTERNS = (
    ("library", re.compile(rb"/libpython(\d)\.(\d{1,2})[a-z]*\.so")),
    ("program", re.compile(rb"/python(\d)\.(\d{1,2})[a-z]*(?: \(deleted\))?$", re.MULTILINE)),
    ("modules", re.compile(rb"/python(\d)\.(\d{1,2})[a-z]*/(?:lib-dynload|site-packages|dist-packages)/")),
    ("modules", re.compile(rb"\.cpython-(\d)(\d{1,2})[a-z]*-[\w-]+\.so")),
)
"""What tells, the surest first: its shared library, its program, modules that it has loaded."""


def parse_python_version(maps: bytes, exe: bytes) -> tuple[str, str]:
    """Return (version like 3.12, what told it) from /proc/PID/maps and /proc/PID/exe's target, else empty."""
    for evidence, pattern in PATTERNS:
        found = pattern.search(exe) if evidence == "program" else None
        found = found or pattern.search(maps)
        if found:
            return f"{int(found[1])}.{int(found[2])}", evidence
    return "", ""
