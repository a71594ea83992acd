"""Where is it allocated? Records it: starts a program under memray, or puts memray into a process that runs."""

from __future__ import annotations

from dataclasses import dataclass

from airmem.collect import clock
from airmem.collect.host import collect_host
from airmem.collect.source import open_source
from airmem.model.gap import Gap
from airmem.model.noun import replace
from airmem.model.report import Head
from airmem.model.trace import TracePlan, TraceReport
from airmem.rules import trace as rules
from airmem.rules.gaps import advise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from airmem.collect.source import Source
    from airmem.model.allocation import AnalyzeReport, CaptureFile
    from airmem.model.trace import Trace, TraceMode, TraceProgress, TracePython

    Show = Callable[[TraceProgress], object]

__all__ = [
    "Room",
    "analyze_trace",
    "answer_attach",
    "answer_clean",
    "answer_launch",
    "answer_list",
    "find_old",
    "name_component",
    "plan_attach",
    "plan_command",
    "plan_component",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Where a trace may write and how much; None for the defaults."""

    place: str | None
    budget_bytes: int | None


def plan_component(
    name: str, arguments: tuple[str, ...], mode: TraceMode, room: Room, *, is_new: bool, via_airflow: bool
) -> TracePlan:
    """Return how a component of Airflow will be started and recorded.

    Errors: UsageProblem for a wrong name, when it runs already or an option makes no sense; NotMeasurable.
    """
    component = rules.component_of(name)
    if not is_new and (pids := _running(component)):
        raise rules.refuse_running(component, pids)
    words = ("airflow", rules.COMPONENTS[component][0], *arguments)
    return _plan_launch("airflow" if via_airflow else "launch", component, words, mode, room)


def plan_command(words: tuple[str, ...], mode: TraceMode, room: Room) -> TracePlan:
    """Return how any Python program will be started and recorded. Errors: UsageProblem, NotMeasurable."""
    from airmem.collect import trace_program  # noqa: PLC0415  # imports subprocess

    return _plan_launch("launch", trace_program.label_of(words), words, mode, room)


def plan_attach(target: str, duration_seconds: float, wait_seconds: float, mode: TraceMode, room: Room) -> TracePlan:
    """Return how a running process will be recorded, after watching it for up to 3 s.

    The debugger may wait `wait_seconds` for it to allocate.

    Errors: ProcessGone; NotPermitted and NotMeasurable with what to do instead; UsageProblem.
    """
    from airmem.collect import trace_program  # noqa: PLC0415  # imports subprocess
    from airmem.collect.trace_subject import collect_trace_subject  # noqa: PLC0415
    from airmem.questions.targets import resolve_target  # noqa: PLC0415

    source = open_source()
    subject = collect_trace_subject(source, resolve_target(target))
    _raise(rules.refuse_attach(subject))
    python = trace_program.ask_pythons(subject.pythons, user=(subject.user_id, subject.group_id))
    _raise(rules.refuse_python(python, subject.pythons))
    assert python is not None  # noqa: S101  # refused above
    debugger = trace_program.find_debugger()
    _raise(rules.refuse_debugger(debugger, python))
    label = _role(source, subject.process.pid) or trace_program.label_of(subject.process.arguments)
    plan = _begin_plan(("attach", label, subject.process.title), mode, python, room)
    return replace(
        plan,
        warnings=rules.warn("attach", mode, plan.budget_bytes, duration_seconds, wait_seconds),
        subject=subject,
        duration_seconds=duration_seconds,
        wait_seconds=wait_seconds,
    )


def _plan_launch(kind: str, label: str, words: tuple[str, ...], mode: TraceMode, room: Room) -> TracePlan:
    from airmem.collect import trace_program  # noqa: PLC0415  # imports subprocess

    _raise(rules.refuse_aggregated(mode))
    executable, options, program = trace_program.resolve_program(words)
    python = trace_program.ask_pythons((executable,), options)
    _raise(rules.refuse_python(python, (executable,)))
    assert python is not None  # noqa: S101  # refused above
    if kind == "airflow":
        _raise(rules.refuse_via_airflow(python, label, mode))
    plan = _begin_plan((kind, label, " ".join(words)), mode, python, room)
    return replace(
        plan,
        warnings=rules.warn(kind, mode, plan.budget_bytes),
        words=words if kind == "airflow" else program,
        options=options,
    )


def _begin_plan(what: tuple[str, str, str], mode: TraceMode, python: TracePython, room: Room) -> TracePlan:
    """Return what every plan has: what is recorded (kind, label, title), how, and where there is room for it.

    Errors: NotMeasurable where there is none.
    """
    from airmem.collect import trace_place  # noqa: PLC0415  # imports subprocess

    place = room.place or trace_place.default_place()
    free = trace_place.free_bytes(place)
    budget, least_free = rules.choose_budget(free, room.budget_bytes)
    return TracePlan(
        kind=what[0],
        label=what[1],
        title=what[2],
        mode=mode,
        python=python,
        place=place,
        budget_bytes=budget,
        least_free_bytes=least_free,
        free_bytes=free,
        warnings=(),
    )


def answer_launch(plan: TracePlan, show: Show) -> tuple[TraceReport, int, bool]:
    """Run what was planned in the foreground until it ends.

    Returns the report, the program's status (negative for a signal), and whether somebody asked for the end who will
    not wait for an analysis. Errors: UsageProblem when the folder cannot be made.
    """
    from airmem.collect import trace_place  # noqa: PLC0415  # imports subprocess
    from airmem.collect.tracing import Launch  # noqa: PLC0415  # only to launch

    began = _began()
    folder = trace_place.make_folder(plan)
    settings = rules.airflow_settings(plan.label, plan.mode) if plan.kind == "airflow" else None
    launch = Launch(open_source(), plan, folder, settings)
    status = launch.watch(show)
    return _report(folder, began), status, launch.was_asked_to_end


def answer_attach(plan: TracePlan, show: Show) -> TraceReport:
    """Record a running process as planned; return when memray has left it, or cannot because it stands still.

    Errors: UsageProblem when the folder cannot be made; ProcessGone and NotMeasurable when it did not come to a
    recording, with how the process was left.
    """
    from airmem.collect import trace_place  # noqa: PLC0415  # imports subprocess
    from airmem.collect.tracing import Attachment  # noqa: PLC0415  # only to attach

    began = _began()
    folder = trace_place.make_folder(plan)
    Attachment(plan, folder).watch(show)
    report = _report(folder, began)
    problem = rules.explain_failure(report.traces[0]) if report.traces else None
    if problem is not None and plan.subject is not None:
        from airmem.collect.trace_subject import collect_rival  # noqa: PLC0415  # only where it failed

        problem = rules.explain_failure(report.traces[0], collect_rival(open_source(), plan.subject.process.pid))
    if problem is not None:
        trace_place.remove_trace(report.traces[0])
        raise problem
    return report


def name_component(name: str) -> str:
    """Return the component that a name means. Errors: UsageProblem with the right names."""
    return rules.component_of(name)


def answer_list(place: str | None) -> TraceReport:
    """Return the traces that lie in a place, by default where airmem puts them, with a verdict on each file."""
    from airmem.collect import trace_place  # noqa: PLC0415  # imports subprocess

    began, source = _began(), open_source()
    where = trace_place.check_place(place) if place else trace_place.default_place()
    return _answer("list", where, tuple(_judged(one) for one in trace_place.read_traces(source, where)), began)


def find_old(place: str | None, older_seconds: float) -> tuple[Trace, ...]:
    """Return the traces that `answer_clean` would remove: those that began longer ago and that nobody records into."""
    from airmem.collect import trace_place  # noqa: PLC0415  # imports subprocess

    where = trace_place.check_place(place) if place else trace_place.default_place()
    return trace_place.old_traces(open_source(), where, older_seconds)


def answer_clean(place: str | None, traces: tuple[Trace, ...]) -> TraceReport:
    """Remove traces, and report them. Errors: OSError."""
    from airmem.collect import trace_place  # noqa: PLC0415  # imports subprocess

    began = _began()
    freed = sum(trace_place.remove_trace(one) for one in traces)
    return _answer("clean", place or trace_place.default_place(), traces, began, freed)


def _hidden(place: str) -> tuple[Gap, ...]:
    """Return what may be traces of others."""
    from airmem.collect import trace_place  # noqa: PLC0415

    hidden = trace_place.hidden_folders(place)
    if not hidden:
        return ()
    detail = f"folders that may not be entered, and may hold traces of other users: {len(hidden)}, {hidden[0]}"
    return (Gap(pid=None, fact="traces", reason="other_user", detail=detail),)


def _report(folder: str, began: tuple[float, float]) -> TraceReport:
    from airmem.collect import trace_place  # noqa: PLC0415

    trace = trace_place.read_trace(open_source(), folder)
    return _answer("trace", folder, () if trace is None else (_judged(trace),), began)


def _answer(
    action: str, place: str, traces: tuple[Trace, ...], began: tuple[float, float], freed_bytes: int | None = None
) -> TraceReport:
    from airmem.collect import trace_place  # noqa: PLC0415

    return TraceReport(
        head=Head(
            command="trace",
            taken_at_seconds=began[1],
            took_seconds=clock.monotonic_seconds() - began[0],
            host=collect_host(open_source()),
        ),
        action=action,
        place=place,
        free_bytes=trace_place.free_bytes(place),
        freed_bytes=freed_bytes,
        traces=traces,
        gaps=advise(_hidden(place) if action == "list" else ()),
        findings=rules.check_left(traces),
    )


def _judged(trace: Trace) -> Trace:
    """Return a trace with a verdict on each of its files, as far as their beginnings and ends tell."""
    from airmem.collect.allocations import collect_states  # noqa: PLC0415
    from airmem.model.allocation import CaptureFacts  # noqa: PLC0415
    from airmem.questions.analyze import judge_files  # noqa: PLC0415

    paths = [one.path for one in trace.files if not one.is_recording]
    return _with_verdicts(trace, judge_files([CaptureFacts(state=state) for state in collect_states(paths)]))


def _with_verdicts(trace: Trace, judged: tuple[CaptureFile, ...]) -> Trace:
    by_path = {one.path: one for one in judged}
    files = []
    for file in trace.files:
        found = by_path.get(file.path)
        if found is not None:
            role = "child" if found.role == "worker" else "parent"
            files.append(
                replace(file, verdict=found.verdict, detail=found.detail, role=role, pid=found.pid or file.pid)
            )
        else:
            files.append(replace(file, verdict="recording") if file.is_recording else file)
    return replace(trace, files=tuple(files))


def analyze_trace(report: TraceReport) -> tuple[TraceReport, AnalyzeReport | None]:
    """Return the report with the verdicts that reading every file gives, and what the files tell.

    The second is None where there is nothing to read, or reading would take longer than MOST_ANALYSIS_SECONDS.
    """
    from airmem.errors import NotMeasurable, UsageProblem  # noqa: PLC0415
    from airmem.questions.analyze import answer_analyze, preview_analyze  # noqa: PLC0415

    paths = [file.path for trace in report.traces for file in trace.files if not file.is_recording]
    if not paths or preview_analyze(paths).cpu_seconds > rules.MOST_ANALYSIS_SECONDS:
        return report, None
    try:
        analysis = answer_analyze(paths)
    except (NotMeasurable, UsageProblem):  # the verdicts say why, or a program replaced itself and was recorded twice
        return report, None
    traces = tuple(_with_verdicts(one, analysis.files) for one in report.traces)
    return replace(report, traces=traces), analysis


def _began() -> tuple[float, float]:
    return clock.monotonic_seconds(), clock.now_seconds()


def _running(component: str) -> tuple[int, ...]:
    """Return the pids under which a component runs on this host, as far as can be seen."""
    from airmem.questions.survey import survey_services  # noqa: PLC0415  # only for components

    survey = survey_services(open_source())
    return tuple(
        sorted(
            pid
            for pid, role in survey.roles.items()
            if role.component == component and role.role == "parent" and pid not in survey.own_pids
        )
    )


def _role(source: Source, pid: int) -> str:
    from airmem.questions.survey import survey_services  # noqa: PLC0415

    role = survey_services(source).roles.get(pid)
    if role is None:
        return ""
    return role.component if role.role == "parent" else f"{role.component}-{role.role}"


def _raise(problem: Any) -> None:
    if problem is not None:
        raise problem
