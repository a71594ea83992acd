"""numpy, imported where there is room for it: in too little memory OpenBLAS ends the whole process, with status 1."""

from __future__ import annotations

import os
import sys

from airmem.errors import NotMeasurable

ROOM_BYTES = 96 << 20
"""Address space that the import takes (80 MiB with numpy 2.3 on x86-64, most of it a buffer of OpenBLAS), and some."""


def numpy_obstacle(use: str) -> tuple[str, str] | None:
    """Import numpy; return why it cannot be had for this use, as (reason, detail) of a gap, or None."""
    if "numpy" not in sys.modules and not _has_room():
        return "little_memory", f"numpy, which {use}, takes {ROOM_BYTES >> 20} MiB of addresses; fewer are left"
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads triple the cost of the import
    try:
        import numpy  # noqa: F401, PLC0415
    except ImportError:
        return "no_numpy", f"numpy, which {use}, cannot be imported"
    return None


def require_numpy(use: str) -> None:
    """Import numpy for a use that cannot do without. Errors: NotMeasurable, and MemoryError where it has no room."""
    if obstacle := numpy_obstacle(use):
        reason, detail = obstacle
        if reason == "little_memory":
            raise MemoryError(detail)
        raise NotMeasurable(detail, "pip install numpy")


def _has_room() -> bool:
    import mmap  # noqa: PLC0415  # most answers need no numpy

    try:
        mmap.mmap(-1, ROOM_BYTES).close()  # never touched: it takes addresses and no memory
    except OSError:
        return False
    return True
