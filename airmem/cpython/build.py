"""Which build of CPython it is, where the debug offsets of 3.13 and later tell: said when its objects are unknown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from airmem.cpython.layout import WORD_BYTES
from airmem.model.contents import Contents, PageBlock, ProcessKey

COOKIE = np.uint64(int.from_bytes(b"xdebugpy", "little"))
"""_Py_DebugOffsets begins with it (Include/internal/pycore_debug_offsets.h); then PY_VERSION_HEX and free_threaded."""

HIGHEST_VERSION = 0x04000000
LOWEST_VERSION = 0x030D0000


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonBuild:
    """A version like 3.13.5, and whether it was built without a GIL."""

    version: str
    is_free_threaded: bool


def find_build(contents: Contents, key: ProcessKey, pages: npt.NDArray[np.int64]) -> PythonBuild | None:
    """Return the build, told by the written pages of programs and libraries (ascending); None if none tells."""
    for block in contents.blocks(key, pages):
        found = _find_cookie(block)
        if found is not None:
            return found
    return None


def _find_cookie(block: PageBlock) -> PythonBuild | None:
    for at in np.flatnonzero(block.words == COOKIE).tolist():
        following = block.words[at + 1 : at + 3].tolist()
        if len(following) == 2 and LOWEST_VERSION <= following[0] < HIGHEST_VERSION and following[1] in (0, 1):
            digits = following[0].to_bytes(WORD_BYTES // 2, "big")
            return PythonBuild(version=f"{digits[0]}.{digits[1]}.{digits[2]}", is_free_threaded=following[1] == 1)
    return None
