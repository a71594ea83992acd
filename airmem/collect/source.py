"""Where facts come from."""

from __future__ import annotations

from airmem.kernel.reader import KernelReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import Source

__all__ = ["Source", "open_source"]


def open_source(root: str = "/") -> KernelReader:
    """Return the reader of the running system, or of a copy of its files below `root`."""
    return KernelReader(root)
