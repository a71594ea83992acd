"""Where facts come from."""

from __future__ import annotations

from typing import TypeAlias

from airmem.kernel.reader import KernelReader

Source: TypeAlias = KernelReader
"""What questions hand on without looking into it: the running system."""


def open_source(root: str = "/") -> Source:
    """Return the reader of the running system, or of a copy of its files below `root`."""
    return KernelReader(root)
