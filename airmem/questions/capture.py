"""What does this tree look like, for somebody elsewhere?"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from airmem.capture.collector import Collector, Host, Sink, fields_of
from airmem.collect.access import explain_denial
from airmem.collect.gaps import gap
from airmem.collect.numbers import require_numpy
from airmem.collect.source import open_source
from airmem.collect.tree import choose_depth, find_tree
from airmem.errors import NotMeasurable, NotPermitted, ProcessGone
from airmem.questions.advice import advise_here, explain_hidden
from airmem.rules.gaps import advise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from airmem.capture.contents import ContentFrames
    from airmem.collect.source import Source
    from airmem.model.gap import Gap
    from airmem.model.process import Process

__all__ = ["Captured", "answer_capture", "read_collector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What a capture holds; `denial` says why the process that was asked for could not be read, None if it could.

    `contents_bytes` of memory are kept, None when they were not asked for.
    """

    process_count: int
    refused_count: int
    has_pages: bool
    contents_bytes: int | None
    denial: Gap | None


def answer_capture(
    root_pid: int,
    write: Callable[[bytes], object],
    *,
    with_pages: bool | None = None,
    with_mappings: bool = True,
    with_contents: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Captured:
    """Write a capture of a process and its descendants; page tables by default where `pss` would read them.

    `with_contents` keeps their private memory, too, and needs no page frames. `progress` is told how many processes of
    how many are done.
    Errors: ProcessGone, NotPermitted when there is no such process, NotMeasurable when page tables cannot be read.
    """
    source = open_source()
    tree = find_tree(source, root_pid)
    host = Host()
    if root_pid not in host.lines:
        raise ProcessGone(f"process {root_pid} has ended", "List what runs here with: airmem ps")
    with ExitStack() as stack:
        if with_contents:
            frames: Any = _content_frames(source, root_pid, host, stack)
        else:
            frames = _frames(source, tree, with_pages)
        collector = Collector(Sink(write), frames, with_mappings)
        collector.run(host, [root_pid], progress)
    denial = None
    if root_pid in collector.refused:
        refused = gap(root_pid, "pss_bytes", *explain_denial(source, root_pid))
        again = f"airmem capture {root_pid}{' --contents' * with_contents} -o FILE"
        denial = advise_here(source, (refused,), again, root_pid)[0]
    return Captured(
        process_count=len(host.family([root_pid])),
        refused_count=len(collector.refused),
        has_pages=frames is not None,
        contents_bytes=frames.kept_bytes if with_contents else None,
        denial=denial,
    )


def read_collector(with_pages: bool = False) -> str:
    """Return the source of the collector that needs no airmem."""
    from airmem.capture.bundle import read_collector as read_source  # noqa: PLC0415  # only to print it

    return read_source(with_pages)


def _frames(source: Source, tree: tuple[Process, ...], with_pages: bool | None) -> Any:
    """Return what keeps page tables, None where they are not asked for or not to be had. Errors: NotMeasurable."""
    if with_pages is False:
        return None
    depth, gaps, _ = choose_depth(source, tree, "pages" if with_pages else "auto")
    if with_pages and gaps:
        problem = advise(gaps)[0]
        raise NotMeasurable(f"page tables cannot be captured: {problem.detail}", problem.remedy)
    if depth != "pages":
        return None
    from airmem.capture.pages import NumpyFrames  # noqa: PLC0415  # imports numpy

    return NumpyFrames()


def _content_frames(source: Source, root_pid: int, host: Host, stack: ExitStack) -> ContentFrames:
    """Return what keeps page tables and contents. Errors: NotMeasurable, NotPermitted, ProcessGone."""
    require_numpy("keeps pages apart")
    from airmem.capture.contents import ContentFrames  # noqa: PLC0415  # imports numpy
    from airmem.collect.contents import LiveContents  # noqa: PLC0415

    contents = stack.enter_context(LiveContents(source))
    starts = {pid: int(fields_of(line)[19]) for pid, line in host.lines.items()}
    try:
        contents.hold((root_pid, starts[root_pid]))
    except NotPermitted:
        raise explain_hidden(source, root_pid, f"airmem capture {root_pid} --contents") from None
    return ContentFrames(
        lambda pid, pages, words: contents.fill((pid, starts[pid]), pages, words),
        shows_frames=source.frames_obstacle() is None,
    )
