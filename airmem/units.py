"""Page arithmetic, and bytes, seconds and ratios as human text."""

from __future__ import annotations

import os

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
"""Bytes of a page of this kernel: 4096 on x86-64, 4, 16 or 64 KiB on arm64."""

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
"""Clock ticks of /proc/PID/stat's times per second (proc(5))."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


def format_bytes(size_bytes: int | None) -> str:
    """Return bytes as KiB, MiB or GiB with about three digits; unknown (None) is `?`, never 0."""
    if size_bytes is None:
        return "?"
    if abs(size_bytes) < MIB:
        return f"{size_bytes / KIB:.0f} KiB"
    if abs(size_bytes) < 10 * GIB:
        return f"{size_bytes / MIB:.1f} MiB"
    return f"{size_bytes / GIB:.1f} GiB"


def format_change(change_bytes: int | None) -> str:
    """Return a signed difference in bytes, `=` when nothing changed and `?` when it is unknown."""
    if change_bytes is None:
        return "?"
    if change_bytes == 0:
        return "="
    return ("+" if change_bytes > 0 else "-") + format_bytes(abs(change_bytes))


def format_seconds(duration_seconds: float | None) -> str:
    """Return a duration in its two largest units: `3 d 4 h`, `12 min 5 s`, `0.2 s`."""
    if duration_seconds is None:
        return "?"
    if duration_seconds < 10:
        return f"{duration_seconds:.1f} s"
    left = int(duration_seconds)
    parts: list[str] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size or parts:
            parts.append(f"{left // size} {name}")
            left %= size
    return " ".join(parts[:2])


def format_age(duration_seconds: float | None) -> str:
    """Return for how long something has been running, in one unit: `45 s`, `19 min`, `26 h`, `3 d`."""
    if duration_seconds is None:
        return "?"
    for name, size, most in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 48)):
        if duration_seconds < most * size:
            return f"{int(duration_seconds // size)} {name}"
    return f"{int(duration_seconds // 86400)} d"


def format_ratio(ratio: float | None) -> str:
    """Return a ratio as a multiple with one digit: `3.6x`."""
    return "?" if ratio is None else f"{ratio:.1f}x"


def parse_bytes(text: str) -> int:
    """Return the bytes that a text means: `4096`, `10M`, `1.5GiB`; powers of 1024. Errors: ValueError."""
    lowered = text.strip().lower().removesuffix("ib").removesuffix("b")
    exponent = "kmgt".find(lowered[-1:]) + 1 if lowered else 0
    size_bytes = float(lowered[:-1] if exponent else lowered) * 1024**exponent
    if not 0 <= size_bytes < 1 << 60:
        raise ValueError(text)
    return int(size_bytes)


def parse_seconds(text: str) -> float:
    """Return the seconds that a text means: `30`, `0.5`, `10m`, `2h`. Errors: ValueError."""
    stripped = text.strip().lower()
    factor = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(stripped[-1:], 0)
    duration_seconds = float(stripped[:-1] if factor else stripped) * (factor or 1)
    if not 0 < duration_seconds < 1 << 40:
        raise ValueError(text)
    return duration_seconds
