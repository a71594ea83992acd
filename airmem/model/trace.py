"""Recordings of allocations: how one is made, where it lies, what became of it."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.finding import Finding
    from airmem.model.gap import Gap
    from airmem.model.process import Process
    from airmem.model.report import Head


@noun
class TraceMode:
    """What memray records.

    `with_native` adds frames of C and C++, `with_python_allocators` each request to Python's own allocator rather than
    only its arenas of 1 MiB. `is_aggregated` keeps sums instead of every allocation. `follows_forks` records children.
    """

    with_native: bool = False
    with_python_allocators: bool = False
    is_aggregated: bool = False
    follows_forks: bool = True

    @property
    def name(self) -> str:
        """The name by which its cost is told: default, detail or aggregated."""
        if self.with_native or self.with_python_allocators:
            return "detail"
        return "aggregated" if self.is_aggregated else "default"


@noun
class TracePython:
    """A Python as it tells of itself; versions are empty where a package is not there."""

    executable: str
    version: str
    memray_version: str
    airflow_version: str = ""


@noun
class TraceSubject:
    """What must be known of a running process before anything is done to it.

    `tracer_pid` is 0 if no debugger is at it. `has_run` tells whether one of its threads ran while it was watched.
    `recorded_into` is the capture that it, or the process that it was forked from, is being recorded into.
    """

    process: Process
    user_id: int
    group_id: int
    is_dumpable: bool | None
    tracer_pid: int
    has_run: bool
    watched_seconds: float
    wait_channel: str
    recorded_into: str
    foreign_namespaces: tuple[str, ...]
    refusal_reason: str
    refusal_detail: str
    pythons: tuple[str, ...]


@noun
class TraceFile:
    """One capture file. `role` is parent or child, `verdict` a word of docs/commands/analyze.md."""

    path: str
    pid: int | None
    role: str
    size_bytes: int
    verdict: str
    detail: str
    is_recording: bool = False


@noun
class Trace:
    """One trace: a folder with its captures.

    `kind` is launch, attach or airflow (its own switch). `outcome` is a word of docs/commands/trace.md, empty while it
    runs or when nobody was left to tell; `stage` how far an attached memray is, and `is_watched` whether its supervisor
    is there, None where there is none. `status` is the exit status of what was
    launched, negative for a signal.
    """

    folder: str
    kind: str
    label: str
    title: str
    pid: int | None
    mode: TraceMode
    began_at_seconds: float
    ended_at_seconds: float | None
    outcome: str
    stage: str
    is_watched: bool | None
    detail: str
    status: int | None
    files: tuple[TraceFile, ...]

    @property
    def size_bytes(self) -> int:
        """The sum of its files."""
        return sum(one.size_bytes for one in self.files)


@noun
class TracePlan:
    """All that is decided before a trace begins.

    `place` is the folder in which the trace gets its own. `words` are what the Python runs, after its `options`: a
    script, or -m and a module, or -c and code, and arguments; for Airflow's own switch the whole command line.
    """

    kind: str
    label: str
    title: str
    mode: TraceMode
    python: TracePython
    place: str
    budget_bytes: int
    least_free_bytes: int
    free_bytes: int
    warnings: tuple[str, ...]
    words: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    subject: TraceSubject | None = None
    duration_seconds: float | None = None
    wait_seconds: float = 0.0


@noun
class TraceProgress:
    """How far a trace is."""

    elapsed_seconds: float
    size_bytes: int
    file_count: int
    growth_bytes: float
    free_bytes: int
    stage: str


@noun
class TraceReport:
    """What a trace left, or what lies in a folder of traces: `action` is trace, list or clean.

    `freed_bytes` is what cleaning freed, None where nothing was to be cleaned.
    """

    head: Head
    action: str
    place: str
    free_bytes: int
    freed_bytes: int | None
    traces: tuple[Trace, ...]
    gaps: tuple[Gap, ...]
    findings: tuple[Finding, ...]
