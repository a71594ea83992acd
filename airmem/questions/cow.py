"""Why is it no longer shared, and what would fix it?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airmem.collect import clock
from airmem.collect.gaps import gap
from airmem.collect.sockets import LiveListeners
from airmem.collect.source import open_source
from airmem.collect.tree import collect_tree
from airmem.errors import NotMeasurable, NotPermitted, ProcessGone
from airmem.model.cow import CowReport, Forecast
from airmem.model.report import Head
from airmem.services.detect import detect_roles

if TYPE_CHECKING:
    from airmem.analysis.writers import Member
    from airmem.collect.anonymous import LiveAnonymousTables
    from airmem.collect.source import Source
    from airmem.model.cow import CowWorker
    from airmem.model.gap import Gap
    from airmem.model.snapshot import TreeSnapshot


def answer_cow(root_pid: int, *, source: Source | None = None) -> CowReport:
    """Return what each descendant of a process copied of its parent's memory, and why.

    `source` is the running system by default. Errors: ProcessGone, NotPermitted when the process asked for cannot be
    read, NotMeasurable where there are no page tables or no numpy.
    """
    began = clock.monotonic_seconds()
    reader = source or open_source()
    again = f"airmem cow {root_pid}"
    try:
        snapshot = collect_tree(reader, root_pid, "status")
    except NotPermitted:
        from airmem.questions.advice import explain_hidden  # noqa: PLC0415  # only when something is refused

        raise explain_hidden(reader, root_pid, again) from None
    tables = _open_tables(reader, snapshot)
    members = _find_writers(tables, snapshot)
    _require_root(reader, snapshot, members[0], again)
    workers = _describe(reader, snapshot, members)
    return CowReport(
        head=Head(
            command="cow",
            taken_at_seconds=snapshot.taken_at_seconds,
            took_seconds=clock.took_seconds(reader, began),
            host=snapshot.host,
        ),
        root_pid=root_pid,
        component=None,
        collector=None,
        workers=workers,
        forecast=Forecast(at_risk_bytes=None, worker_count=len(workers)),
        coverage=None,
        remedies=(),
        gaps=_advise(reader, snapshot, tables, members, again),
        findings=(),
    )


def _open_tables(reader: Source, snapshot: TreeSnapshot) -> LiveAnonymousTables:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads triple the cost of the import
    try:
        from airmem.collect.anonymous import LiveAnonymousTables  # noqa: PLC0415  # imports numpy
    except ImportError as problem:
        raise NotMeasurable("numpy, which compares pages, cannot be imported", "pip install numpy") from problem
    return LiveAnonymousTables(reader, snapshot.processes)


def _find_writers(tables: LiveAnonymousTables, snapshot: TreeSnapshot) -> list[Member | None]:
    from airmem.analysis.writers import attribute_writers  # noqa: PLC0415  # imports numpy

    positions = {one.process.pid: position for position, one in enumerate(snapshot.processes)}
    parents = [positions.get(one.process.parent_pid) for one in snapshot.processes]
    return attribute_writers(tables, [None, *parents[1:]], [one.process.is_forked for one in snapshot.processes])


def _require_root(reader: Source, snapshot: TreeSnapshot, root: Member | None, again: str) -> None:
    """Raise what explains why the process that was asked for has no page table."""
    if root is not None:
        return
    process = snapshot.processes[0].process
    if process.is_kernel_thread or process.is_zombie:
        what = "a kernel thread" if process.is_kernel_thread else "a zombie"
        raise NotMeasurable(f"process {process.pid} is {what}: it has no memory", "Ask for another: airmem ps")
    try:
        with reader.process(process.pid) as files:
            files.read("maps")
            files.read_words("pagemap", ((0, 1),), memoryview(bytearray(8)))
    except PermissionError:
        from airmem.collect.access import explain_denial  # noqa: PLC0415  # only when something is refused
        from airmem.questions.advice import advise_here  # noqa: PLC0415

        reason, detail = explain_denial(reader, process.pid)
        (advised,) = advise_here(reader, (gap(process.pid, "process", reason, detail),), again, process.pid)
        raise NotPermitted(detail, advised.remedy) from None
    except (FileNotFoundError, ProcessLookupError):
        cause = f"process {process.pid} ended while it was read"
        raise ProcessGone(cause, "Look for its successor with: airmem ps") from None
    except OSError as problem:
        cause = f"the page table of process {process.pid} cannot be read: {problem.strerror}"
        raise NotMeasurable(cause, "It needs /proc/PID/pagemap, which sandboxes such as gVisor lack") from None
    raise NotMeasurable(f"the page table of process {process.pid} is too large", "")


def _describe(reader: Source, snapshot: TreeSnapshot, members: list[Member | None]) -> tuple[CowWorker, ...]:
    from airmem.analysis.cow import describe_worker  # noqa: PLC0415  # imports numpy

    roles = detect_roles([one.process for one in snapshot.processes], LiveListeners(reader))
    found = []
    for one, member in list(zip(snapshot.processes, members, strict=True))[1:]:
        role = roles.get(one.process.pid)
        name = role.role if role else "worker" if one.process.is_forked else "child"
        found.append(describe_worker(one.process, name, role.component if role else None, member))
    return tuple(found)


def _advise(
    reader: Source, snapshot: TreeSnapshot, tables: LiveAnonymousTables, members: list[Member | None], again: str
) -> tuple[Gap, ...]:
    gaps = list(snapshot.gaps)
    known = {one.pid for one in gaps}
    for one, member in zip(snapshot.processes, members, strict=True):
        if member is None and one.process.pid not in known:
            gaps.append(_page_table_gap(reader, one.process.pid))
    if not tables.shows_frames and (obstacle := reader.frames_obstacle()):
        gaps.append(gap(None, "writer", *obstacle))
    if not gaps:
        return ()
    from airmem.questions.advice import advise_here  # noqa: PLC0415  # most answers have none

    return advise_here(reader, tuple(gaps), again, snapshot.processes[0].process.pid)


def _page_table_gap(reader: Source, pid: int) -> Gap:
    from airmem.collect.access import explain_denial  # noqa: PLC0415  # only when something is refused

    try:
        with reader.process(pid) as files:
            files.read("maps")
    except PermissionError:
        return gap(pid, "pages", *explain_denial(reader, pid))
    except OSError:
        return gap(pid, "process", "gone", "it ended while the tree was read")
    return gap(pid, "pages", "page_table_unreadable", "its page table was refused, or is too large")
