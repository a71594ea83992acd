"""Whether and how a trace may begin: what is refused and what helps, budgets, and what people are told beforehand."""

from __future__ import annotations

from airmem.errors import AirmemError, Interrupted, NotMeasurable, NotPermitted, ProcessGone, UsageProblem
from airmem.model.finding import Finding
from airmem.units import GIB, MIB, format_bytes, format_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.trace import Trace, TraceMode, TracePython, TraceSubject

MOST_BUDGET_BYTES = 2 * GIB
BUDGET_RATIO = 0.2
LEAST_BUDGET_BYTES = 64 * MIB
"""With less no recording tells much: the capture of a scheduler's start alone takes up to 35 MB."""

LEAST_FREE_BYTES = 200 * MIB
"""Where less is left, a recording ends: the service itself needs to write."""

LEAST_FREE_RATIO = 0.5
"""A place that has little from the start keeps at least this part of it."""

MOST_ANALYSIS_SECONDS = 120.0
"""Reading that takes more CPU than this is left to whoever has the time for it."""

LEAST_MEMRAY = (1, 15)
COMPONENTS = {
    "scheduler": ("scheduler", "scheduler", (3, 2, 0)),
    "api-server": ("api-server", "api", (3, 2, 0)),
    "dag-processor": ("dag-processor", "dag_processor", (3, 2, 0)),
    "triggerer": ("triggerer", "triggerer", (3, 2, 2)),
}
"""Component -> (command of airflow, its name in [profiling] memray_trace_components, first version that knows it)."""

ALIASES = {"api": "api-server", "dag_processor": "dag-processor", "api_server": "api-server"}
FIRST_DETAILED = (3, 3, 0)
"""The first Airflow with [profiling] memray_detailed_tracing."""

COSTS = {
    "default": "CPU x 1.5 (Airflow's scheduler: start and 15 loops) to x 2.1 (YAML parsed in Python, little but calls);"
    " 7 to 14 MB of memory for each process; 3 MB of disk for a scheduler's start.",
    "detail": "CPU x 7 (Airflow's scheduler: start and 15 loops) to x 9 (YAML parsed in Python); 21 to 139 MB of"
    " memory; 59 MB of disk for a scheduler's start, then about 4 MB for each second of work.",
    "aggregated": "CPU x 1.2 (Airflow's scheduler: start and 15 loops) to x 2.2 (YAML parsed in Python); 14 to 32 MB of"
    " memory; sums are kept in memory and written at the end.",
}
"""Mode -> what it cost. Medians of three runs: Airflow 3.3.2 with LocalExecutor and SQLite, memray 1.20.0, Python 3.11,
two cores of x86-64, Linux 6.18."""

NO_DEBUGGER = "permission to trace"
FAILURES = {
    "No module named 'memray'": "Install memray where the process finds it, then start the process again",
    "unexpected keyword argument": "The process has loaded an older memray than is installed now; start it again",
    "No more than one Tracker": "Something in the process records already; it must end first",
    NO_DEBUGGER: "If nobody else attached to it just now, ask what would help: airmem doctor {pid}",
    "couldn't open the memray shared library": "The process's user must be able to read memray's folder",
    "PermissionError(13": "The process's user may not enter the HOME that it has, where Python looks for packages",
    "Could not create output file": "The process's user must be able to write there; name another place with -o DIR",
}
"""What memray says -> what helps."""

UNSEEN = {
    "launch": "Programs that are started anew (spawn, exec) are not recorded; children that are forked are.",
    "attach": "What was allocated before is not in it, and its children are not recorded.",
    "children": "What was allocated before is not in it. Children that it forks meanwhile are recorded until they end,"
    " also when the time is up, and nobody watches the disk for them then.",
    "airflow": "Airflow records the component alone: no forked worker, and nothing that was imported before it began.",
}


def component_of(name: str) -> str:
    """Return the component that a name means. Errors: UsageProblem with the right names."""
    lowered = name.lower()
    found = ALIASES.get(lowered, lowered)
    if found not in COMPONENTS:
        names = ", ".join(COMPONENTS)
        raise UsageProblem(
            f"{name!r} is no component that trace can start; these are: {names}",
            "Any other program: airmem trace -- COMMAND. A process that runs: airmem trace --attach PID.",
        )
    return found


def refuse_running(component: str, pids: tuple[int, ...]) -> UsageProblem:
    """Return why a second one is not started beside one that runs."""
    article = "an" if component[0] in "aeiou" else "a"
    return UsageProblem(
        f"{article} {component} runs here already (pid {', '.join(map(str, pids))}), and two would share one database",
        "These lines record what runs. To start a second one all the same: --new",
        tuple(f"airmem trace --attach {pid} --duration 60" for pid in pids),
    )


def refuse_aggregated(mode: TraceMode) -> UsageProblem | None:
    """Return why sums alone cannot be kept, None if they can."""
    if mode.is_aggregated and mode.follows_forks:
        return UsageProblem(
            "the aggregated form leaves an empty file for every child that ends by os._exit or a signal, as all workers"
            " of multiprocessing and of LocalExecutor do",
            "Leave --aggregate away, or record the parent alone: --no-follow-fork",
        )
    return None


def refuse_python(python: TracePython | None, tried: tuple[str, ...]) -> AirmemError | None:
    """Return why a Python cannot be recorded, None if it can."""
    if not tried:
        cause = "its program is no Python interpreter, and it has loaded none of Python's packages"
        return NotMeasurable(cause, "memray records Python programs only. List what runs here: airmem ps")
    if python is None:
        cause = f"no Python of the target answers ({', '.join(tried)})"
        return NotMeasurable(cause, "Run airmem where its Python can be run.")
    if not python.memray_version:
        return NotMeasurable(
            f"{python.executable} has no memray, and memray records from inside the program",
            f"Install it there: {python.executable} -m pip install memray",
        )
    if version_of(python.memray_version) < LEAST_MEMRAY:
        return NotMeasurable(
            f"{python.executable} has memray {python.memray_version}; 1.15 or later is needed",
            f"{python.executable} -m pip install --upgrade memray",
        )
    return None


def refuse_attach(subject: TraceSubject) -> AirmemError | None:  # noqa: PLR0911  # one for each obstacle
    """Return why memray must not be put into a process, None if it may."""
    pid = subject.process.pid
    if subject.process.is_kernel_thread or subject.process.is_zombie:
        return NotMeasurable(f"process {pid} ({subject.process.title}) runs no program", "List what does: airmem ps")
    if subject.refusal_reason:
        return NotPermitted(subject.refusal_detail, f"Ask what would help: airmem doctor {pid}")
    if subject.foreign_namespaces:
        names = " and ".join(subject.foreign_namespaces)
        return NotMeasurable(
            f"process {pid} is in another {names} namespace; memray must see its files and reach it on localhost",
            "Run airmem inside its container: docker exec, kubectl exec. See: airmem trace --show-steps",
        )
    if subject.tracer_pid:
        return NotMeasurable(
            f"process {subject.tracer_pid} traces process {pid} already; the kernel allows one",
            "Wait until that debugger, strace or py-spy has ended.",
        )
    if subject.recorded_into:
        return NotMeasurable(
            f"memray records process {pid}, or the process that it was forked from, into {subject.recorded_into}; a"
            " second recording would silently end the first",
            "Read that file: airmem analyze. Recordings that airmem made: airmem trace --list",
        )
    if not subject.has_run:
        waits = f" (it waits in {subject.wait_channel})" if subject.wait_channel.strip("0") else ""
        return NotMeasurable(
            f"no thread of process {pid} has run for {format_seconds(subject.watched_seconds)}{waits}: memray would"
            " hang in its debugger until the process wakes, and what stands still allocates nothing",
            f"Look at it as it is: py-spy dump --pid {pid}, airmem pss {pid}; trace its parent, or try when it works",
        )
    if subject.is_dumpable is False:
        return NotPermitted(
            f"process {pid} is not dumpable: only root may attach to it, and root does not run memray from files of uid"
            f" {subject.user_id}",
            "Start it under airmem: airmem trace -- COMMAND. Airflow's workers are so once they have run a task",
        )
    return None


def refuse_debugger(path: str, python: TracePython) -> AirmemError | None:
    """Return what is missing to get into a process, None if nothing is."""
    if path:
        return None
    return NotMeasurable(
        f"there is no gdb here, through which memray gets into a running Python {python.version}",
        "Install it (apt-get install gdb), or start the program under airmem: airmem trace -- COMMAND",
    )


def refuse_via_airflow(python: TracePython, component: str, mode: TraceMode) -> AirmemError | None:
    """Return why Airflow's own switch cannot be used, None if it can."""
    first = COMPONENTS[component][2]
    if not python.airflow_version:
        return NotMeasurable(f"{python.executable} has no Airflow", "Give the right PATH.")
    if version_of(python.airflow_version) < first:
        shown = ".".join(map(str, first))
        return NotMeasurable(
            f"Airflow {python.airflow_version} cannot record its {component} by itself; {shown} and later can",
            "Leave --via-airflow away.",
        )
    if mode.name == "detail" and version_of(python.airflow_version) < FIRST_DETAILED:
        return NotMeasurable(
            f"Airflow {python.airflow_version} has no detailed tracing; 3.3.0 and later have", "Leave --detail away."
        )
    return None


def explain_failure(trace: Trace, rival: str = "") -> AirmemError | None:
    """Return why an attached memray recorded nothing, and how the process was left; None if it recorded.

    `rival` tells who else has the process. memray takes every failure of its debugger for a lack of permission.
    """
    if trace.files or trace.stage != "ended":
        return None
    if trace.outcome == "target_gone":
        return ProcessGone(f"process {trace.pid} has ended before the recording began", "List what runs: airmem ps")
    if trace.outcome == "failed":
        said = " ".join(trace.detail.split())
        if rival and NO_DEBUGGER in said:
            cause = f"memray could not begin in process {trace.pid}: {rival}, and the kernel allows one at a time"
            return NotMeasurable(cause, "Wait until that has ended. Recordings that airmem made: airmem trace --list")
        cause = f"memray could not begin in process {trace.pid}: {said}"
        return NotMeasurable(cause, _remedy_for(said).format(pid=trace.pid))
    left = "The debugger has let go of it; it runs as before, and nothing was recorded."
    if trace.outcome == "deadline":
        cause = f"process {trace.pid} neither allocated nor reached the interpreter while the debugger waited for it"
        return NotMeasurable(
            cause, f"{left} Try again when it works, or look at it as it is: py-spy dump --pid {trace.pid}"
        )
    return Interrupted(f"stopped before the recording of process {trace.pid} began", left)


def _remedy_for(said: str) -> str:
    """Return what helps against what memray says (memray 1.20)."""
    for words, remedy in FAILURES.items():
        if words in said:
            return remedy
    return "The process runs as before. See: airmem doctor"


def airflow_settings(component: str, mode: TraceMode) -> dict[str, str]:
    """Return the settings, as variables, with which Airflow records one component."""
    settings = {"AIRFLOW__PROFILING__MEMRAY_TRACE_COMPONENTS": COMPONENTS[component][1]}
    if mode.name == "detail":
        settings["AIRFLOW__PROFILING__MEMRAY_DETAILED_TRACING"] = "True"
    return settings


def choose_budget(free_bytes: int, asked_bytes: int | None) -> tuple[int, int]:
    """Return (budget, free space that is left alone) in bytes.

    Errors: NotMeasurable when there is no room. A finished capture is compressed into a second file, so that for a
    moment it takes more than its budget.
    """
    least_free = min(LEAST_FREE_BYTES, int(free_bytes * LEAST_FREE_RATIO))
    budget = min(MOST_BUDGET_BYTES, int(free_bytes * BUDGET_RATIO)) if asked_bytes is None else asked_bytes
    if asked_bytes is None and budget < LEAST_BUDGET_BYTES:
        raise NotMeasurable(
            f"only {format_bytes(free_bytes)} are free there; a fifth of it is too little for a recording",
            "Name another place with -o DIR, or what it may use with --budget SIZE.",
        )
    if budget + least_free > free_bytes:
        raise NotMeasurable(
            f"only {format_bytes(free_bytes)} are free there, and the recording may take {format_bytes(budget)}",
            "Name another place with -o DIR, or a smaller --budget.",
        )
    return budget, least_free


def warn(
    kind: str,
    mode: TraceMode,
    budget_bytes: int,
    duration_seconds: float | None = None,
    wait_seconds: float | None = None,
) -> tuple[str, ...]:
    """Return what a person must know before it begins."""
    lines = [COSTS[mode.name]]
    if mode.name == "detail":
        lines.append("--detail is for a look of minutes; without it the cost is a fraction.")
    if kind == "attach":
        lines.append(
            "A debugger stops the process for one or two seconds to begin and again to end,"
            f" {format_seconds(duration_seconds)} later; it waits at most {format_seconds(wait_seconds)} for the"
            " process to allocate."
        )
    lines.append(UNSEEN["children" if kind == "attach" and mode.follows_forks else kind])
    if kind == "airflow":
        lines.append("Airflow's recording has no limit: it ends with the component, or when the disk is full.")
    else:
        shown = format_bytes(budget_bytes)
        lines.append(f"It may take {shown} of disk; at the limit the recording ends, not the program.")
    return tuple(lines)


def check_left(traces: tuple[Trace, ...]) -> tuple[Finding, ...]:
    """AM621: memray is still in a process although its recording is over, or although nobody watches it."""
    findings = []
    for one in traces:
        is_over = one.stage in ("detaching", "waiting") or one.is_watched is False
        if one.kind != "attach" or not is_over or not any(file.is_recording for file in one.files):
            continue
        if one.is_watched:
            evidence = "its interpreter is held up by a call into C; a supervisor waits for it to take memray out"
            remedy = "Nothing is to be done: airmem trace --list tells when it is out"
        else:
            evidence = "its supervisor is gone"
            remedy = (
                f"Take it out when the process works, with the process's own Python: python -m memray detach {one.pid}"
            )
        findings.append(
            Finding(
                code="AM621",
                severity="warning",
                pid=one.pid,
                summary=f"memray is still in process {one.pid}",
                evidence=evidence,
                remedy=remedy,
            )
        )
    return tuple(findings)


def version_of(text: str) -> tuple[int, ...]:
    """Return the numbers of a version: 3.3.2rc1 is (3, 3, 2)."""
    numbers = []
    for part in text.split(".")[:3]:
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
