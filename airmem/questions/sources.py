"""What `--from` names: files that stand for a place, so that every question can be asked of them."""

from __future__ import annotations

from airmem.errors import UsageProblem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.collect.source import Source


__all__ = ["Source", "open_from", "open_only"]


def open_only(files: tuple[str, ...]) -> Source | None:
    """Return the one source that is named, None where none is. Errors: those of open_from, UsageProblem for several."""
    if len(files) > 1:
        raise UsageProblem(f"{len(files)} files are given", "Give one to --from.")
    return open_from(files[0]) if files else None


def open_from(path: str) -> Source:
    """Return what a file or folder holds, as a source to ask questions of; `-` is standard input.

    Errors: UsageProblem when it cannot be read, Malformed when it is nothing that airmem knows.
    """
    from airmem.capture.foreign.recognize import open_any  # noqa: PLC0415  # most questions ask the running system

    source = open_any(path)
    source.origin = path
    return source
