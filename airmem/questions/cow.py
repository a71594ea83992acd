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
    from airmem.analysis.explain import FamilyContents
    from airmem.analysis.writers import Member
    from airmem.collect.anonymous import LiveAnonymousTables
    from airmem.collect.source import Source
    from airmem.model.cow import Coverage, CowWorker
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
    told, coverage, obstacles = _read_contents(reader, snapshot, members)
    workers = _describe(reader, snapshot, members, told)
    return CowReport(
        head=Head(
            command="cow",
            taken_at_seconds=snapshot.taken_at_seconds,
            took_seconds=clock.took_seconds(reader, began),
            host=snapshot.host,
        ),
        root_pid=root_pid,
        component=None,
        collector=told.collectors.get(0) if told else None,
        workers=workers,
        forecast=_forecast(members, told),
        coverage=coverage,
        remedies=(),
        gaps=_advise(reader, snapshot, tables, members, obstacles, again),
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


def _read_contents(
    reader: Source, snapshot: TreeSnapshot, members: list[Member | None]
) -> tuple[FamilyContents | None, Coverage | None, tuple[Gap, ...]]:
    """Return what contents tell, how much of them was read, and what is in the way."""
    from airmem.analysis.explain import ChosenBlocks, explain_family  # noqa: PLC0415  # imports numpy
    from airmem.collect.contents import LiveContents  # noqa: PLC0415  # imports numpy
    from airmem.model.cow import Coverage  # noqa: PLC0415

    root_pid = snapshot.processes[0].process.pid
    if not any(one is not None and one.children for one in members):
        return None, None, ()
    keys = [one.process.key for one in snapshot.processes]
    try:
        with LiveContents(reader) as contents:
            for one in members:
                if one is not None and (one.children or one.parent):
                    contents.hold(keys[one.position])
            told = explain_family(contents, keys, members, ChosenBlocks())
            coverage = Coverage(read_bytes=contents.read_bytes, fraction_ratio=1.0, margin_ratio=0.0, duty_ratio=None)
    except NotPermitted:
        from airmem.collect.access import explain_denial  # noqa: PLC0415  # only when something is refused

        return None, None, (gap(root_pid, "causes", *explain_denial(reader, root_pid)),)
    except OSError as problem:
        return None, None, (gap(root_pid, "causes", "not_captured", str(problem)),)
    gaps = [gap(keys[at][0], "causes", "not_cpython", cause) for at, cause in told.obstacles.items()]
    gaps += [gap(keys[at][0], "causes", "gone", "it ended while its memory was read") for at in told.gone]
    return told, coverage, tuple(gaps)


def _forecast(members: list[Member | None], told: FamilyContents | None) -> Forecast:
    if told is None:
        return Forecast(at_risk_bytes=None, worker_count=len(members) - 1)
    from airmem.analysis.cow import forecast  # noqa: PLC0415  # imports numpy

    return forecast(members, told.workers)


def _describe(
    reader: Source, snapshot: TreeSnapshot, members: list[Member | None], told: FamilyContents | None
) -> tuple[CowWorker, ...]:
    from airmem.analysis.cow import describe_worker  # noqa: PLC0415  # imports numpy

    roles = detect_roles([one.process for one in snapshot.processes], LiveListeners(reader))
    found = []
    explanations = told.workers if told else {}
    for one, member in list(zip(snapshot.processes, members, strict=True))[1:]:
        role = roles.get(one.process.pid)
        name = role.role if role else "worker" if one.process.is_forked else "child"
        explanation = None if member is None else explanations.get(member.position)
        found.append(describe_worker(one.process, name, role.component if role else None, member, explanation))
    return tuple(found)


def _advise(
    reader: Source,
    snapshot: TreeSnapshot,
    tables: LiveAnonymousTables,
    members: list[Member | None],
    obstacles: tuple[Gap, ...],
    again: str,
) -> tuple[Gap, ...]:
    gaps = [*snapshot.gaps, *obstacles]
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
