"""Pressure files (Documentation/accounting/psi.rst) and the flat key-value files of control groups."""

from __future__ import annotations

MOST_DIGITS = 20


def parse_full_ratio(raw: bytes) -> float | None:
    """Return the share of the last 10 s in which all tasks stood (`full avg10`), None where it is not told."""
    for line in raw.splitlines():
        words = line.split()
        if words[:1] == [b"full"] and len(words) > 1 and words[1].startswith(b"avg10="):
            try:
                return float(words[1][6:]) / 100
            except ValueError:
                return None
    return None


def parse_flat(raw: bytes) -> dict[bytes, int]:
    """Return the pairs of a file such as cgroup.events or memory.events; other lines are skipped."""
    pairs = {}
    for line in raw.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit() and len(words[1]) <= MOST_DIGITS:
            pairs[words[0]] = int(words[1])
    return pairs
