"""Why is it no longer shared, and what would fix it?"""

from __future__ import annotations

from airmem.collect import clock
from airmem.collect.gaps import gap
from airmem.collect.numbers import require_numpy
from airmem.collect.pacing import Pace
from airmem.collect.processes import read_process
from airmem.collect.sockets import LiveListeners
from airmem.collect.source import open_source
from airmem.collect.tree import collect_tree
from airmem.errors import Malformed, NotMeasurable, NotPermitted, ProcessGone
from airmem.model.cow import CowReport
from airmem.model.report import Head
from airmem.rules.asking import repeat_command
from airmem.rules.cow import check_cow, find_remedies
from airmem.rules.gaps import advise
from airmem.services.detect import detect_roles
from airmem.units import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.explain import FamilyContents
    from airmem.analysis.writers import Member
    from airmem.collect.anonymous import LiveAnonymousTables
    from airmem.collect.contents import LiveContents
    from airmem.collect.source import Source
    from airmem.model.cow import Coverage, CowWorker
    from airmem.model.gap import Gap
    from airmem.model.process import Process
    from airmem.model.service import ServiceRole
    from airmem.model.snapshot import TreeSnapshot


def answer_cow(
    root_pid: int,
    *,
    source: Source | None = None,
    fraction_ratio: float = 1.0,
    most_bytes: int | None = None,
    with_map: bool = False,
) -> CowReport:
    """Return what each descendant of a process copied of its parent's memory, why, and what comes next.

    `source` is the running system by default. With `fraction_ratio` only that part of the copied pages is read, chosen
    at random, with `most_bytes` so many that not much more than that is read in all. `with_map` adds where in their
    address spaces it lies. Errors: ProcessGone, NotPermitted when the process asked for cannot be read, NotMeasurable
    where there are no page tables or no numpy.
    """
    return _Question(root_pid, source or open_source(), fraction_ratio, most_bytes, with_map).answer()


MOST_HELD = 500
"""So many processes' memory is opened in advance: a process may have 1024 files open by default."""


class _Question:
    """One look at a tree."""

    def __init__(
        self, root_pid: int, reader: Source, fraction_ratio: float, most_bytes: int | None, with_map: bool
    ) -> None:
        self._root_pid = root_pid
        self._reader = reader
        self._fraction_ratio = fraction_ratio
        self._most_bytes = most_bytes
        self._with_map = with_map
        self._again = repeat_command(reader.is_live, "cow", root_pid)
        self._gaps: list[Gap] = []

    def answer(self) -> CowReport:
        """Collect, analyze, judge."""
        began = clock.monotonic_seconds()
        self._check_root()
        snapshot = self._snapshot()
        pace = Pace(self._reader)
        pace.watch(one.process.key for one in snapshot.processes)
        tables = self._open_tables(snapshot, pace)
        from airmem.collect.contents import LiveContents  # noqa: PLC0415  # imports numpy

        with LiveContents(self._reader, pace) as contents:
            is_open = self._hold(contents, snapshot)
            members = self._find_writers(tables, snapshot)
            told, coverage = self._read_contents(contents, members, tables, snapshot) if is_open else (None, None)
        root = snapshot.processes[0].process
        self._check_alive(root)
        roles = detect_roles([one.process for one in snapshot.processes], LiveListeners(self._reader))
        root_role = roles.get(self._root_pid)
        workers = self._describe(snapshot, members, told, roles)
        collector = told.collectors.get(0) if told else None
        from airmem.analysis.cow import forecast, sum_old_originals  # noqa: PLC0415  # imports numpy

        free_block_bytes = told.hole_pages[0] * PAGE_BYTES if told and 0 in told.hole_pages else None
        foretold = forecast(members, told.workers if told else {})
        return CowReport(
            head=Head(
                command="cow",
                taken_at_seconds=snapshot.taken_at_seconds,
                took_seconds=clock.took_seconds(self._reader, began),
                host=snapshot.host,
                origin=self._reader.origin,
            ),
            root_pid=self._root_pid,
            parent_pid=root.parent_pid if root.is_forked and root.parent_pid > 1 else None,
            component=root_role.component if root_role else None,
            collector=collector,
            free_block_bytes=free_block_bytes,
            workers=workers,
            forecast=foretold,
            coverage=coverage,
            remedies=find_remedies(
                workers,
                foretold,
                collector,
                old_originals_bytes=sum_old_originals(members),
                hole_bytes=free_block_bytes,
            ),
            gaps=self._advise(),
            findings=check_cow(workers, foretold, collector),
        )

    def _check_root(self) -> None:
        """Refuse at once where the process that was asked for is refused: its tree would be read in vain."""
        process = None
        try:
            with self._reader.process(self._root_pid) as files:
                process = read_process(files, with_arguments=False)
                files.read("maps", 1)
        except PermissionError:
            if process is not None:
                self._refuse(process)
        except (OSError, Malformed):
            return  # what is in the way is told where it is read

    def _snapshot(self) -> TreeSnapshot:
        try:
            snapshot = collect_tree(self._reader, self._root_pid, "status")
        except NotPermitted:
            from airmem.questions.advice import explain_hidden  # noqa: PLC0415  # only when something is refused

            raise explain_hidden(self._reader, self._root_pid, self._again) from None
        self._gaps += [one for one in snapshot.gaps if one.fact in ("process", "memory", "tree")]
        return snapshot

    def _open_tables(self, snapshot: TreeSnapshot, pace: Pace) -> LiveAnonymousTables:
        require_numpy("compares pages")
        from airmem.collect.anonymous import LiveAnonymousTables  # noqa: PLC0415  # imports numpy

        tables = LiveAnonymousTables(self._reader, snapshot.processes, pace)
        if not tables.shows_frames and (obstacle := self._reader.frames_obstacle()):
            self._gaps.append(gap(None, "writer", *obstacle))
        return tables

    def _hold(self, contents: LiveContents, snapshot: TreeSnapshot) -> bool:
        """Open the memory of all processes before their page tables are read: then no call of exec goes unseen.

        Return whether contents can be read; where they are refused there is a gap. Without the root's there are none.
        """
        for one in snapshot.processes[:MOST_HELD]:
            process = one.process
            if process.is_zombie or process.is_kernel_thread:
                continue
            try:
                contents.hold(process.key)
            except ProcessGone:
                continue
            except NotPermitted:
                from airmem.collect.access import explain_memory_denial  # noqa: PLC0415  # only when it is refused

                self._gaps.append(gap(process.pid, "causes", *explain_memory_denial(self._reader, process.pid)))
                if process.pid == self._root_pid:
                    return False
            except OSError as problem:
                from airmem.collect.access import explain_contents  # noqa: PLC0415  # only when it is missing

                self._gaps.append(gap(None, "causes", *explain_contents(self._reader, problem)))
                return False
        return True

    def _check_alive(self, root: Process) -> None:
        """Raise ProcessGone when the process that was asked for has ended meanwhile."""
        if not self._reader.is_live:
            return
        try:
            with self._reader.process(root.pid) as files:
                now = read_process(files, with_arguments=False)
        except (OSError, Malformed):
            now = None
        if now is None or now.key != root.key or (now.is_zombie and not root.is_zombie):
            remedy = "Look for its successor with: airmem ps"
            raise ProcessGone(f"process {root.pid} ended while it was read", remedy)

    def _find_writers(self, tables: LiveAnonymousTables, snapshot: TreeSnapshot) -> list[Member | None]:
        from airmem.analysis.writers import attribute_writers  # noqa: PLC0415  # imports numpy

        positions = {one.process.pid: position for position, one in enumerate(snapshot.processes)}
        parents = [positions.get(one.process.parent_pid) for one in snapshot.processes]
        forked = [one.process.is_forked for one in snapshot.processes]
        members = attribute_writers(tables, [None, *parents[1:]], forked)
        if members[0] is None:
            self._refuse(snapshot.processes[0].process)
        known = {one.pid for one in self._gaps}
        for one, member in zip(snapshot.processes, members, strict=True):
            if member is not None and member.is_same_memory:
                detail = f"it runs in the memory of its parent {one.process.parent_pid} (vfork)"
                self._gaps.append(gap(one.process.pid, "pages", "same_memory", detail))
            if member is None and one.process.pid not in known and not one.process.is_zombie:
                from airmem.collect.access import explain_page_table  # noqa: PLC0415  # only when something is missing

                reason, detail = explain_page_table(self._reader, one.process)
                self._gaps.append(gap(one.process.pid, "process" if reason == "gone" else "pages", reason, detail))
        return members

    def _refuse(self, process: Process) -> None:
        """Raise what explains why the process that was asked for has no page table."""
        if process.why_empty:
            (advised,) = advise((gap(process.pid, "process", *process.why_empty),))
            raise NotMeasurable(advised.detail, advised.remedy)
        try:
            with self._reader.process(process.pid) as files:
                files.read("maps")
                files.read_words("pagemap", ((0, 1),), memoryview(bytearray(8)))
        except PermissionError:
            from airmem.collect.access import error_of, explain_denial  # noqa: PLC0415  # only when something is refused

            self._gaps = [gap(process.pid, "process", *explain_denial(self._reader, process.pid))]
            (advised,) = self._advise()
            raise error_of(advised, advised.remedy) from None
        except (FileNotFoundError, ProcessLookupError):
            cause = f"process {process.pid} ended while it was read"
            raise ProcessGone(cause, "Look for its successor with: airmem ps") from None
        except OSError as problem:
            cause = f"the page table of process {process.pid} cannot be read: {problem.strerror}"
            remedy = "It takes /proc/PID/pagemap, which sandboxes such as gVisor lack"
            if not self._reader.is_live:
                remedy = "Make the capture with page tables and contents: airmem capture TARGET --contents -o FILE"
            raise NotMeasurable(cause, remedy) from None
        raise NotMeasurable(f"the page table of process {process.pid} is too large", "Ask about one of its children")

    def _read_contents(
        self,
        contents: LiveContents,
        members: list[Member | None],
        tables: LiveAnonymousTables,
        snapshot: TreeSnapshot,
    ) -> tuple[FamilyContents | None, Coverage | None]:
        """Return what contents tell, and how much was read; None where nothing is inherited."""
        from airmem.analysis.explain import explain_family, leave_out_unstable  # noqa: PLC0415  # imports numpy
        from airmem.analysis.fraction import choose_fraction, describe_coverage  # noqa: PLC0415

        if not any(one is not None and one.children for one in members):
            return None, None
        keys = [one.process.key for one in snapshot.processes]
        fraction = choose_fraction(members, self._fraction_ratio, self._most_bytes)
        told = explain_family(contents, keys, members, fraction, with_page_types=self._with_map)
        leave_out_unstable(tables, members, told)
        if not fraction.with_heads:
            detail = (
                "the parents' own pages are more than --max-bytes, and the collector's lists run through all of them"
            )
            self._gaps.append(gap(None, "at_risk_bytes", "max_bytes", detail))
        self._gaps += [gap(keys[at][0], "causes", "not_cpython", cause) for at, cause in told.obstacles.items()]
        refused = {one.pid for one in self._gaps if one.fact == "causes"}
        gone = [keys[at][0] for at in sorted(told.gone) if keys[at][0] not in refused]
        self._gaps += [gap(pid, "causes", "gone", "it ended while it was read") for pid in gone]
        return told, describe_coverage(contents.read_bytes, members, fraction, contents.pace.duty_ratio)

    def _describe(
        self,
        snapshot: TreeSnapshot,
        members: list[Member | None],
        told: FamilyContents | None,
        roles: dict[int, ServiceRole],
    ) -> tuple[CowWorker, ...]:
        from airmem.analysis.cow import describe_worker  # noqa: PLC0415  # imports numpy

        found = []
        explanations = told.workers if told else {}
        for one, member in list(zip(snapshot.processes, members, strict=True))[1:]:
            role = roles.get(one.process.pid)
            name = role.role if role else "worker" if one.process.is_forked else "child"
            explanation = None if member is None else explanations.get(member.position)
            component = role.component if role else None
            found.append(describe_worker(one.process, name, component, member, explanation, with_runs=self._with_map))
        return tuple(found)

    def _advise(self) -> tuple[Gap, ...]:
        if not self._gaps:
            return ()
        from airmem.questions.advice import advise_here  # noqa: PLC0415  # most answers have none

        return advise_here(self._reader, tuple(self._gaps), self._again, self._root_pid)
