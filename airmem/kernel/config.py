"""The kernel's configuration: /proc/config.gz, or /boot/config-RELEASE."""

from __future__ import annotations

import zlib

MOST_BYTES = 4 << 20


def parse_config(raw: bytes) -> dict[str, str]:
    """Return what was chosen by name: y, m, a value, or n for `is not set`. Gzip is undone. Errors: ValueError."""
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = zlib.decompressobj(31).decompress(raw, MOST_BYTES)
        except zlib.error as problem:
            raise ValueError(f"not gzip: {problem}") from problem
    chosen = {}
    for line in raw.decode("ascii", errors="replace").split("\n"):
        if line.startswith("CONFIG_"):
            name, _, value = line.partition("=")
            chosen[name] = value.strip('"')
        elif line.startswith("# CONFIG_") and line.endswith(" is not set"):
            chosen[line[2 : -len(" is not set")]] = "n"
    return chosen


def parse_page_mapcount(chosen: dict[str, str]) -> str:
    """Return exact, averaged or unknown: how PSS counts the sharers of a page in a large folio.

    Kernels before CONFIG_PAGE_MAPCOUNT (6.15) count each page.
    """
    if chosen.get("CONFIG_NO_PAGE_MAPCOUNT") == "y":
        return "averaged"
    return "exact" if chosen else "unknown"
