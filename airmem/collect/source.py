"""Where facts come from."""

from __future__ import annotations

from airmem.kernel.reader import KernelReader


def open_source(root: str = "/") -> KernelReader:
    """Return the reader of the running system, or of a copy of its files below `root`."""
    return KernelReader(root)
