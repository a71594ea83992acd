"""The anonymous pages of a whole tree, and why some of them cannot be had. Needs numpy."""

from __future__ import annotations

from airmem.collect.access import explain_contents, explain_memory_denial
from airmem.collect.anonymous import LiveAnonymousTables
from airmem.collect.gaps import gap
from airmem.errors import NotPermitted, ProcessGone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.collect.contents import LiveContents
    from airmem.collect.source import Source
    from airmem.model.anonymous import AnonymousPages
    from airmem.model.gap import Gap
    from airmem.model.process import Process


def read_member(
    reader: Source, tables: LiveAnonymousTables, contents: LiveContents, position: int, process: Process
) -> AnonymousPages | Gap:
    """Return the anonymous pages of one process, its memory opened; or why they cannot be had."""
    if process.why_empty:
        return gap(process.pid, "objects", *process.why_empty)
    try:
        contents.hold(process.key)
        with reader.process(process.pid) as files:
            files.read("maps")
        found = tables.read(position)
        contents.read(process.key, 0, 1)  # raises where it ended meanwhile: then its pages are not unreadable but gone
    except (NotPermitted, PermissionError):
        return gap(process.pid, "objects", *explain_memory_denial(reader, process.pid))
    except (ProcessGone, FileNotFoundError, ProcessLookupError):
        return gap(process.pid, "objects", "gone", f"process {process.pid} ended while the tree was read")
    except OSError as problem:
        return gap(process.pid, "objects", *explain_contents(reader, problem))
    if found is None:
        detail = f"the page table of process {process.pid} was refused, or is too large"
        return gap(process.pid, "objects", "page_table_unreadable", detail)
    return found
