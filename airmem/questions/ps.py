"""What runs here, and in which trees?"""

from __future__ import annotations

from airmem.collect import clock
from airmem.collect.gaps import gap
from airmem.collect.host import ContainerIds, collect_host
from airmem.collect.processes import collect_boot_time, hidepid_level
from airmem.collect.source import open_source
from airmem.errors import ProcessGone
from airmem.model.report import Head
from airmem.model.services import PsReport, ServiceRow
from airmem.questions.survey import survey_services
from airmem.services.family import Family, is_interpreter
from airmem.units import PAGE_BYTES, TICKS_PER_SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from airmem.collect.source import Source
    from airmem.model.gap import Gap
    from airmem.model.process import Process
    from airmem.questions.survey import Survey

UNKNOWN_ROLES = ("parent", "child")
"""What a Python program that no detector knows is, and what descends from it."""


def answer_ps(root_pid: int | None = None, *, with_all: bool = False, source: Source | None = None) -> PsReport:
    """Return the services of this host as trees, or the one tree below `root_pid`.

    `with_all` adds the trees of Python programs that no detector knows. `source` is the running system by default.
    Errors: ProcessGone when there is no process `root_pid`.
    """
    began = clock.monotonic_seconds()
    reader = source or open_source()
    taken_at_seconds = clock.taken_at_seconds(reader)
    survey = survey_services(reader)
    roots = _roots(reader, survey, with_all) if root_pid is None else [_one(reader, survey, root_pid)]
    boot_time = collect_boot_time(reader)
    make = _RowMaker(survey, ContainerIds(reader), boot_time, taken_at_seconds)
    services = tuple(make.row(*place) for place in _trees(survey, roots))
    return PsReport(
        head=Head(
            command="ps",
            taken_at_seconds=taken_at_seconds,
            took_seconds=clock.took_seconds(reader, began),
            host=collect_host(reader),
            origin=reader.origin,
        ),
        services=services,
        gaps=_advise(reader, (*reader.gaps, *survey.gaps, *_hidden(reader), *_unknown_boot(boot_time))),
        findings=(),
    )


def _advise(reader: Source, gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
    if not gaps:
        return ()
    from airmem.questions.advice import advise_here  # noqa: PLC0415  # most answers have none

    return advise_here(reader, gaps, "airmem ps")


def _one(reader: Source, survey: Survey, root_pid: int) -> Process:
    if root_pid not in survey.processes:
        if hidepid_level(reader) and reader.has_process(root_pid):
            from airmem.questions.advice import explain_hidden  # noqa: PLC0415  # only when something is hidden

            raise explain_hidden(reader, root_pid, f"airmem ps {root_pid}")
        raise ProcessGone(f"there is no process {root_pid} that can be seen", "List what runs here with: airmem ps")
    return survey.processes[root_pid]


def _roots(reader: Source, survey: Survey, with_all: bool) -> list[Process]:
    """Return where trees begin: services by age, then with `with_all` other Python programs by age."""
    roots = survey.roots()
    if not with_all:
        return roots
    python = {
        pid
        for pid, process in survey.processes.items()
        if pid not in survey.roles
        and pid not in survey.own_pids[:1]
        and process.arguments
        and _is_python(reader, process)
    }
    others = [survey.processes[pid] for pid in python if survey.processes[pid].parent_pid not in python]
    return roots + sorted(others, key=_age)


def _is_python(reader: Source, process: Process) -> bool:
    """Whether a process runs Python, by its command line, or by its program where it has given itself a title."""
    if is_interpreter(process.arguments[0]) or is_interpreter(process.command):
        return True
    try:
        return is_interpreter(reader.link(f"/proc/{process.pid}/exe"))
    except OSError:
        return False


def _trees(survey: Survey, roots: list[Process]) -> Iterator[tuple[Process, int, int]]:
    """Yield each process of the trees with its depth and how many children it has; each one once."""
    family = Family([process for pid, process in survey.processes.items() if pid not in survey.own_pids[:1]])
    seen: set[int] = set()
    stack = [(process, 0) for process in reversed(roots)]
    while stack:
        process, depth = stack.pop()
        if process.pid in seen:
            continue
        seen.add(process.pid)
        children = sorted(family.children(process.pid), key=_age, reverse=True)
        yield process, depth, len(children)
        stack.extend((child, depth + 1) for child in children)


def _age(process: Process) -> tuple[int, int]:
    return process.start_ticks, process.pid


class _RowMaker:
    """Knows what all rows need."""

    def __init__(self, survey: Survey, containers: ContainerIds, boot_time: int | None, now_seconds: float) -> None:
        self._survey = survey
        self._containers = containers
        self._boot_time = boot_time
        self._now_seconds = now_seconds

    def row(self, process: Process, depth: int, children_count: int) -> ServiceRow:
        """Return the row of one process."""
        role = self._survey.roles.get(process.pid)
        started = None if self._boot_time is None else self._boot_time + process.start_ticks / TICKS_PER_SECOND
        return ServiceRow(
            process=process,
            service=role.service if role else None,
            component=role.component if role else None,
            role=role.role if role else UNKNOWN_ROLES[depth > 0],
            activity=role.activity if role else "",
            start_method=role.start_method if role else "fork" if process.is_forked else "exec",
            depth=depth,
            children_count=children_count,
            started_at_seconds=started,
            up_seconds=None if started is None else max(0.0, self._now_seconds - started),
            rss_bytes=process.rss_pages * PAGE_BYTES,
            container_id=self._containers.of(process.pid),
        )


def _hidden(reader: Source) -> tuple[Gap, ...]:
    level = hidepid_level(reader)
    detail = f"/proc is mounted with hidepid={level}: processes of other users do not show"
    return (gap(None, "services", "hidepid", detail),) if level else ()


def _unknown_boot(boot_time: int | None) -> tuple[Gap, ...]:
    detail = "/proc/stat does not tell when the machine booted"
    return () if boot_time is not None else (gap(None, "started_at_seconds", "unreadable", detail),)
