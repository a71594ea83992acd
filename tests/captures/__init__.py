"""Raw bytes of real systems; each folder's ORIGIN.md tells where they come from."""

from __future__ import annotations

from pathlib import Path

CAPTURES = Path(__file__).parent

PROCESSES = tuple(sorted(str(path.parent.relative_to(CAPTURES)) for path in CAPTURES.glob("**/smaps_rollup")))
"""Every captured process that has a smaps_rollup beside its smaps."""


def read_capture(process: str, name: str) -> bytes:
    """Return the bytes of a captured file of a process, such as ("forked-tree/gc", "smaps")."""
    return (CAPTURES / process / name).read_bytes()
