"""A process and its descendants, with their memory: the facts behind `airmem pss`."""

from __future__ import annotations

import os
from errno import ENOMEM

from airmem.collect import clock
from airmem.collect.cgroup import collect_cgroup
from airmem.collect.gaps import gap
from airmem.collect.host import collect_host
from airmem.collect.memory import UNKNOWN, read_memory
from airmem.collect.processes import collect_hidden_children, collect_tree_processes, read_process
from airmem.errors import Malformed, NotPermitted, ProcessGone
from airmem.model.memory import MemoryAccount
from airmem.model.noun import replace
from airmem.model.snapshot import ProcessSnapshot, TreeSnapshot
from airmem.units import GIB, PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from airmem.kernel.frames import OwnPages
    from airmem.kernel.source import Source
    from airmem.model.cgroup import CgroupMemory
    from airmem.model.gap import Gap
    from airmem.model.page_tables import PageTables
    from airmem.model.process import Process
    from airmem.model.remainder import CgroupRemainder

DEPTHS = ("auto", "status", "rollup", "mappings", "pages")

AUTO_PAGES_BYTES = 64 * GIB
"""Up to this much summed RSS `auto` reads page tables: about a second of CPU."""

ALONE = 16
"""Trees up to this size are read in one thread: starting threads would cost more than it saves."""

NOTHING = MemoryAccount(rss_bytes=0, pss_bytes=0, private_clean_bytes=0, private_dirty_bytes=0)
"""What a process has of its own that runs in its parent's memory."""

Part: TypeAlias = "tuple[ProcessSnapshot | None, tuple[Gap, ...]]"
"""What was read of one process (None: it ended), and what was not."""


def collect_tree(reader: Source, root_pid: int, depth: str, with_users: bool = False) -> TreeSnapshot:
    """Return a process and its descendants at a depth (see DEPTHS), `auto` choosing what this place allows.

    A process that cannot be read is in the snapshot with what is known and a gap; one that ended is only a gap.
    Errors: ProcessGone, NotPermitted when there is no such process, or none that can be seen.
    """
    taken_at_seconds = clock.taken_at_seconds(reader)
    if (told := reader.snapshot(root_pid, depth, taken_at_seconds)) is not None:
        return told
    tree = find_tree(reader, root_pid)
    chosen, depth_gaps, own = choose_depth(reader, tree, depth)
    read_depth = "rollup" if chosen == "pages" else chosen
    parts = _for_each(tree, lambda process: _read_part(reader, process, read_depth, with_users))
    processes, borrowed = _without_borrowed(tuple(part for part, _ in parts if part is not None))
    gaps = [
        *reader.gaps,
        *depth_gaps,
        *(gap for _, found in parts for gap in found),
        *borrowed,
        *collect_hidden_children(reader, tree),
    ]
    if not processes or processes[0].process.pid != root_pid:
        raise ProcessGone(f"process {root_pid} ended while it was read", "Look for its successor with: airmem ps")
    cgroup, cgroup_gaps = collect_cgroup(reader, root_pid)
    return TreeSnapshot(
        processes=processes,
        host=collect_host(reader),
        cgroup=cgroup,
        remainder=_remainder(reader, processes, cgroup, chosen),
        page_tables=_page_tables(reader, processes, own) if own is not None else None,
        gaps=(*gaps, *cgroup_gaps),
        taken_at_seconds=taken_at_seconds,
    )


def _without_borrowed(
    processes: tuple[ProcessSnapshot, ...],
) -> tuple[tuple[ProcessSnapshot, ...], tuple[Gap, ...]]:
    """Return the processes, those that run in their parent's memory with nothing of their own, and gaps that say so.

    Between vfork(2) and exec a child uses its parent's address space: the kernel gives both the same account, and the
    sums would count it twice. Two address spaces never have equal accounts with private pages in them: these are in
    one process alone.
    """
    accounts = {one.process.pid: one.account for one in processes}
    kept, gaps = [], []
    for one in processes:
        is_borrowed = one.account.uss_bytes and one.account == accounts.get(one.process.parent_pid)
        if is_borrowed and one.process.is_forked:
            detail = f"it runs in the memory of its parent {one.process.parent_pid} (vfork), which is counted there"
            gaps.append(gap(one.process.pid, "memory", "same_memory", detail))
            one = replace(one, depth="none", account=NOTHING)  # noqa: PLW2901
        kept.append(one)
    return tuple(kept), tuple(gaps)


def choose_depth(reader: Source, tree: tuple[Process, ...], depth: str) -> tuple[str, tuple[Gap, ...], OwnPages | None]:
    """Return the depth to read at, why it is not deeper, and for page tables what one has to know to read them.

    Reasons are that page frames are hidden, that numpy or the room for it is missing, and that the tree is too large.
    """
    if depth not in ("auto", "pages"):
        return depth, (), None
    rss_sum_bytes = sum(process.rss_pages for process in tree) * PAGE_BYTES
    if depth == "auto" and rss_sum_bytes > AUTO_PAGES_BYTES:
        detail = f"{rss_sum_bytes // GIB} GiB of summed RSS; beyond {AUTO_PAGES_BYTES // GIB} GiB only on request"
        return "rollup", (_sharing_gap("too_large", detail),), None
    if obstacle := reader.frames_obstacle():
        return "rollup", (_sharing_gap(*obstacle),), None
    from airmem.collect.numbers import numpy_obstacle  # noqa: PLC0415  # not needed for sums
    from airmem.kernel.frames import OwnPages  # noqa: PLC0415

    try:
        own = OwnPages(reader)  # before numpy is loaded
    except OSError as problem:
        reason = "little_memory" if problem.errno == ENOMEM else "unreadable"
        detail = f"airmem's own pages, which tell how to count, cannot be read: {problem.strerror}"
        return "rollup", (_sharing_gap(reason, detail),), None
    if obstacle := numpy_obstacle("compares page tables"):
        return "rollup", (_sharing_gap(*obstacle),), None
    return "pages", (), own


def _sharing_gap(reason: str, detail: str) -> Gap:
    return gap(None, "sharing", reason, detail)


def _page_tables(reader: Source, processes: tuple[ProcessSnapshot, ...], own: OwnPages) -> PageTables:
    from airmem.collect.pages import LivePageTables  # noqa: PLC0415  # imports numpy

    return LivePageTables(reader, processes, own)


def _remainder(
    reader: Source, processes: tuple[ProcessSnapshot, ...], cgroup: CgroupMemory | None, depth: str
) -> CgroupRemainder | None:
    if depth == "status" or all(one.depth != "status" for one in processes):
        return None
    from airmem.collect.remainder import collect_remainder  # noqa: PLC0415  # only when something was refused

    return collect_remainder(reader, processes, cgroup)


def find_tree(reader: Source, root_pid: int) -> tuple[Process, ...]:
    """Return a process and its descendants, parents first. Errors: ProcessGone, NotPermitted when it is hidden."""
    if tree := collect_tree_processes(reader, root_pid):
        return tree
    if reader.has_process(root_pid):
        raise NotPermitted(f"process {root_pid} exists but /proc hides it (hidepid)")
    raise ProcessGone(f"there is no process {root_pid}", "List what runs here with: airmem ps")


def _read_part(reader: Source, process: Process, depth: str, with_users: bool) -> Part:
    """Read one process; one that ended is None and a gap."""
    try:
        with reader.process(process.pid) as files:
            current = read_process(files, with_arguments=True)
            if current.start_ticks != process.start_ticks:
                raise ProcessLookupError
            reached, account, mappings, gaps = read_memory(reader, files, current, depth)
            user_id = _user_id(files.read("status")) if with_users else None
    except (FileNotFoundError, ProcessLookupError):
        return None, (gap(process.pid, "process", "gone", "it ended while the tree was read"),)
    except PermissionError:
        from airmem.collect.access import explain_denial  # noqa: PLC0415  # only when something is refused

        reason, detail = explain_denial(reader, process.pid)
        unread = ProcessSnapshot(process=process, depth="none", account=UNKNOWN)
        return unread, (gap(process.pid, "process", reason, detail),)
    except (OSError, Malformed) as problem:
        unread = ProcessSnapshot(process=process, depth="none", account=UNKNOWN)
        return unread, (gap(process.pid, "process", "unreadable", str(problem)),)
    found = ProcessSnapshot(process=current, depth=reached, account=account, mappings=mappings, user_id=user_id)
    return found, gaps


def _user_id(status: bytes) -> int | None:
    from airmem.kernel.status import parse_status  # noqa: PLC0415  # only when users are asked for

    words = parse_status(status).get(b"Uid", b"").split()
    return int(words[1]) if len(words) > 1 else None


def _for_each(tree: tuple[Process, ...], read: Callable[[Process], Part]) -> list[Part]:
    """Read all processes, several at once: the kernel walks page tables while Python's lock is free."""
    workers = min(len(os.sched_getaffinity(0)), 8)
    if len(tree) <= ALONE or workers < 2:
        return [read(process) for process in tree]
    from airmem.collect.parallel import for_each  # noqa: PLC0415  # not for a few processes

    parts: dict[int, Part] = {}

    def read_one(position: int) -> None:
        parts[position] = read(tree[position])

    for_each(range(len(tree)), read_one, workers)
    return [parts[position] for position in range(len(tree))]
