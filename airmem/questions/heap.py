"""Which objects hold the memory?"""

from __future__ import annotations

from airmem.collect import clock
from airmem.collect.gaps import gap
from airmem.collect.numbers import require_numpy
from airmem.collect.pacing import Pace
from airmem.collect.sockets import LiveListeners
from airmem.collect.source import open_source
from airmem.collect.tree import collect_tree
from airmem.errors import NotMeasurable, NotPermitted
from airmem.model.heap import EarlierHeap, HeapChange, HeapProcess, HeapReport
from airmem.model.noun import replace
from airmem.model.report import Head
from airmem.rules.asking import repeat_command
from airmem.services.detect import detect_roles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airmem.analysis.heap import HeapCounts
    from airmem.analysis.heap_types import HeapNames
    from airmem.collect.anonymous import LiveAnonymousTables
    from airmem.collect.contents import LiveContents
    from airmem.collect.source import Source
    from airmem.model.anonymous import AnonymousPages
    from airmem.model.gap import Gap
    from airmem.model.heap import HeapAccuracy, HeapType
    from airmem.model.service import ServiceRole
    from airmem.model.snapshot import ProcessSnapshot, TreeSnapshot

MOST_OWN_TYPES = 20
"""So many of the types that a process has of its own are told of each."""


def answer_heap(root_pid: int, *, wanted_type: str | None = None, source: Source | None = None) -> HeapReport:
    """Return the objects of a process by type, and which process of its tree has how much of its own.

    `wanted_type` is a type whose places are asked for. `source` is the running system by default. Errors: ProcessGone,
    NotPermitted, NotMeasurable when the process that was asked for cannot be read or is no CPython that is known;
    UsageProblem when there is no such type.
    """
    began = clock.monotonic_seconds()
    reader = source or open_source()
    again = repeat_command(reader.is_live, "heap", root_pid)
    try:
        snapshot = collect_tree(reader, root_pid, "status")
    except NotPermitted:
        from airmem.questions.advice import explain_hidden  # noqa: PLC0415  # only when something is refused

        raise explain_hidden(reader, root_pid, again) from None
    look = _Look(reader, snapshot, again)
    report = look.answer(wanted_type)
    took_seconds = clock.took_seconds(reader, began)
    return replace(report, head=replace(report.head, took_seconds=took_seconds))


def earlier_heap(report: HeapReport) -> EarlierHeap:
    """Return what a later answer is compared with."""
    return EarlierHeap(
        taken_at_seconds=report.head.taken_at_seconds,
        hostname=report.head.host.hostname,
        root_pid=report.root_pid,
        types=report.types,
    )


def decode_earlier(document: dict[str, Any]) -> EarlierHeap:
    """Return an earlier JSON answer. Errors: UsageProblem when it is something else."""
    from airmem.codec.heap import decode  # noqa: PLC0415  # only to compare

    return decode(document)


def diff_heap(before: EarlierHeap, after: HeapReport) -> HeapReport:
    """Return the later answer with what changed since the earlier one."""
    from airmem.analysis.heap_types import diff_types  # noqa: PLC0415  # imports numpy

    change = HeapChange(
        before_taken_at_seconds=before.taken_at_seconds,
        before_hostname=before.hostname,
        before_pid=before.root_pid,
        types=diff_types(before.types, after.types),
    )
    return replace(after, change=change)


class _Look:
    """One look at a tree."""

    def __init__(self, reader: Source, snapshot: TreeSnapshot, again: str) -> None:
        self._reader = reader
        self._snapshot = snapshot
        self._again = again
        self._gaps: list[Gap] = list(snapshot.gaps)

    def answer(self, wanted_type: str | None) -> HeapReport:
        """Return the answer; its head's duration is still to be filled in."""
        pace = Pace(self._reader)
        pace.watch(one.process.key for one in self._snapshot.processes)
        require_numpy("looks through pages")
        from airmem.analysis.heap_types import (  # noqa: PLC0415  # imports numpy
            HeapNames,
            find_places,
            find_python_version,
            judge_accuracy,
            rank,
        )
        from airmem.collect.anonymous import LiveAnonymousTables  # noqa: PLC0415
        from airmem.collect.contents import LiveContents  # noqa: PLC0415

        snapshot = self._snapshot
        tables = LiveAnonymousTables(self._reader, snapshot.processes, pace)
        with LiveContents(self._reader, pace) as contents:
            chosen, pages = self._read_members(tables, contents)
            counts = self._count(contents, chosen, pages, tables.shows_frames, wanted_type)
            names = HeapNames(contents, [one.process.key for one in chosen], counts)
            held = counts.held[0]
            assert held is not None  # noqa: S101  # count_objects raises where the first one cannot be counted
            self._warn(judge_accuracy(counts))
            types = rank(names.types_of(0, held.tallies[0]).values())
            version = find_python_version(contents, chosen[0].process.key, counts)
            processes = self._processes(chosen, counts, names)
        return HeapReport(
            head=Head(
                command="heap",
                taken_at_seconds=snapshot.taken_at_seconds,
                took_seconds=0.0,
                host=snapshot.host,
                origin=self._reader.origin,
            ),
            root_pid=chosen[0].process.pid,
            component=processes[0].component,
            python_version=version,
            scanned_bytes=counts.looked_at_bytes,
            heap_bytes=sum(one.shallow_bytes for one in types),
            object_count=sum(one.count for one in types),
            static_type_count=sum(one.is_static for one in held.table.types),
            types=types,
            processes=processes,
            accuracy=judge_accuracy(counts),
            duty_ratio=contents.pace.duty_ratio,
            gaps=self._advise(),
            findings=(),
            places=None if wanted_type is None else find_places(held, pages[0].ranges),
        )

    def _read_members(
        self, tables: LiveAnonymousTables, contents: LiveContents
    ) -> tuple[list[ProcessSnapshot], list[AnonymousPages]]:
        """Return the processes that can be read, and their pages. Errors: those of the process asked for."""
        from airmem.collect.access import error_of  # noqa: PLC0415
        from airmem.collect.members import read_member  # noqa: PLC0415  # imports numpy
        from airmem.model.gap import Gap  # noqa: PLC0415

        chosen, pages = [], []
        for position, one in enumerate(self._snapshot.processes):
            found = read_member(self._reader, tables, contents, position, one.process)
            if isinstance(found, Gap):
                if position == 0:
                    self._gaps = [found]
                    raise error_of(found, self._advise()[0].remedy)
                self._gaps.append(found)
            else:
                chosen.append(one)
                pages.append(found)
        return chosen, pages

    def _count(
        self,
        contents: LiveContents,
        chosen: list[ProcessSnapshot],
        pages: list[AnonymousPages],
        shows_frames: bool,
        wanted_type: str | None,
    ) -> HeapCounts:
        from airmem.analysis.heap import count_objects  # noqa: PLC0415  # imports numpy
        from airmem.analysis.heap_pages import HeapMember, find_spans  # noqa: PLC0415
        from airmem.analysis.heap_types import NamedTypes, explain_unknown  # noqa: PLC0415

        positions = {one.process.pid: position for position, one in enumerate(chosen)}
        members = [
            HeapMember(
                key=one.process.key,
                parent=positions.get(one.process.parent_pid) if position and one.process.is_forked else None,
                pages=found.pages,
                words=found.words,
                spans=find_spans(found.ranges),
            )
            for position, (one, found) in enumerate(zip(chosen, pages, strict=True))
        ]
        key = members[0].key
        choose = None if wanted_type is None else NamedTypes(contents, key, wanted_type)
        try:
            counts = count_objects(contents, members, shows_frames, choose)
        except NotMeasurable as problem:
            contents.read(key, 0, 1)  # raises where the process ended, or called exec before its pages were listed
            build = explain_unknown(contents, key, pages[0])
            if build:
                cause = f"process {key[0]} runs {build}, whose objects airmem cannot tell"
                raise NotMeasurable(cause, problem.remedy) from problem
            raise NotMeasurable(f"process {key[0]}: {problem.cause}", problem.remedy) from problem
        for position, (one, held) in enumerate(zip(chosen, counts.held, strict=True)):
            if held is None and position not in counts.unknown:
                detail = f"process {one.process.pid} ended while it was read"
                self._gaps.append(gap(one.process.pid, "objects", "gone", detail))
        for position, cause in counts.unknown.items():
            self._gaps.append(gap(chosen[position].process.pid, "objects", "not_cpython", cause))
        return counts

    def _processes(
        self, chosen: list[ProcessSnapshot], counts: HeapCounts, names: HeapNames
    ) -> tuple[HeapProcess, ...]:
        """Return every process of the tree, with what it has where that could be counted."""
        from airmem.analysis.heap_types import sum_process  # noqa: PLC0415  # imports numpy

        roles = detect_roles([one.process for one in self._snapshot.processes], LiveListeners(self._reader))
        positions = {one.process.pid: position for position, one in enumerate(chosen)}
        rows = []
        for one in self._snapshot.processes:
            position = positions.get(one.process.pid)
            sums = None if position is None else sum_process(counts, position)
            types: tuple[HeapType, ...] = ()
            if position is not None and sums is not None:
                types = _own_types(counts, names, position)
            rows.append(_row(one, roles.get(one.process.pid), one.process.pid == chosen[0].process.pid, sums, types))
        return tuple(rows)

    def _warn(self, accuracy: HeapAccuracy) -> None:
        if accuracy.assumed_count:
            detail = (
                f"{accuracy.assumed_count} of {accuracy.tracked_count} objects were on no list of the collector when"
                " they were read: it was collecting, or the process changed quickly; they are counted all the same"
            )
            self._gaps.append(gap(self._snapshot.processes[0].process.pid, "types", "changing", detail))

    def _advise(self) -> tuple[Gap, ...]:
        if not self._gaps:
            return ()
        from airmem.questions.advice import advise_here  # noqa: PLC0415  # most answers have none

        pid = self._snapshot.processes[0].process.pid
        return advise_here(self._reader, tuple(self._gaps), self._again, pid)


def _own_types(counts: HeapCounts, names: HeapNames, position: int) -> tuple[HeapType, ...]:
    from airmem.analysis.heap_types import rank  # noqa: PLC0415  # imports numpy

    held = counts.held[position]
    if held is None:
        return ()
    return rank(names.types_of(position, held.tallies[position].without(held.inherited)).values())[:MOST_OWN_TYPES]


def _row(
    one: ProcessSnapshot,
    role: ServiceRole | None,
    is_root: bool,
    sums: tuple[int, int, int, int] | None,
    types: tuple[HeapType, ...],
) -> HeapProcess:
    plain = "parent" if is_root else "worker" if one.process.is_forked else "child"
    own_count, own_bytes, inherited_count, inherited_bytes = sums or (None,) * 4
    return HeapProcess(
        process=one.process,
        role=role.role if role else plain,
        component=role.component if role else None,
        own_count=own_count,
        own_bytes=own_bytes,
        inherited_count=inherited_count,
        inherited_bytes=inherited_bytes,
        types=types,
    )
