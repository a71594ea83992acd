"""Command lines as people know them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.process import Process

LONGEST_TITLE = 200
"""A process may write kilobytes over its own title."""


def cut_title(title: str) -> str:
    """Return a title for a line of text, cut where it is very long."""
    return title if len(title) <= LONGEST_TITLE else title[: LONGEST_TITLE - 3] + "..."


def short_title(process: Process) -> str:
    """Return the program and its script without their folders; what has no arguments by its name in brackets."""
    if len(process.arguments) < 2:
        return process.title
    first, second, *rest = process.arguments
    script = second.rpartition("/")[2] if second.startswith("/") else second
    return " ".join((first.rpartition("/")[2], script, *rest))
