"""What does this tree look like, for somebody elsewhere?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airmem.capture.collector import Collector, Host, Sink
from airmem.collect.access import explain_denial
from airmem.collect.gaps import gap
from airmem.collect.source import open_source
from airmem.collect.tree import choose_depth, find_tree
from airmem.errors import NotMeasurable, ProcessGone
from airmem.rules.gaps import advise

if TYPE_CHECKING:
    from collections.abc import Callable

    from airmem.model.gap import Gap

__all__ = ["Captured", "answer_capture", "read_collector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What a capture holds; `denial` says why the process that was asked for could not be read, None if it could."""

    process_count: int
    refused_count: int
    has_pages: bool
    denial: Gap | None


def answer_capture(
    root_pid: int,
    write: Callable[[bytes], object],
    *,
    with_pages: bool | None = None,
    with_mappings: bool = True,
    progress: Callable[[int, int], object] | None = None,
) -> Captured:
    """Write a capture of a process and its descendants; page tables by default where `pss` would read them.

    `progress` is told how many processes of how many are done.
    Errors: ProcessGone, NotPermitted when there is no such process, NotMeasurable when page tables cannot be read.
    """
    source = open_source()
    tree = find_tree(source, root_pid)
    depth, gaps = (
        ("rollup", ()) if with_pages is False else choose_depth(source, tree, "pages" if with_pages else "auto")
    )
    if with_pages and gaps:
        problem = advise(gaps)[0]
        raise NotMeasurable(f"page tables cannot be captured: {problem.detail}", problem.remedy)
    host = Host()
    if root_pid not in host.lines:
        raise ProcessGone(f"process {root_pid} has ended", "List what runs here with: airmem ps")
    collector = Collector(Sink(write), _frames() if depth == "pages" else None, with_mappings)
    collector.run(host, [root_pid], progress)
    denial = None
    if root_pid in collector.refused:
        denial = advise((gap(root_pid, "pss_bytes", *explain_denial(source, root_pid)),))[0]
    return Captured(
        process_count=len(host.family([root_pid])),
        refused_count=len(collector.refused),
        has_pages=depth == "pages",
        denial=denial,
    )


def read_collector(with_pages: bool = False) -> str:
    """Return the source of the collector that needs no airmem."""
    from airmem.capture.bundle import read_collector as read_source  # noqa: PLC0415  # only to print it

    return read_source(with_pages)


def _frames() -> object:
    from airmem.capture.pages import NumpyFrames  # noqa: PLC0415  # imports numpy

    return NumpyFrames()
