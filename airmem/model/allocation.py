"""What memray's captures tell: where memory was allocated, by whom it is held, and whether a file is whole."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.finding import Finding
    from airmem.model.gap import Gap
    from airmem.model.report import Head

VERDICTS = ("complete", "aggregated", "ended_early", "killed", "disk_full", "truncated", "other_version", "damaged",
            "no_capture")  # fmt: skip
"""What a capture file is; rules/allocation.py says what each means for the figures."""

VIEWS = ("peak", "leaked", "churn")
"""Held when the heap was largest, never freed before the end, freed at once: high water mark, leaks, temporary."""


@noun
class CaptureHeader:
    """The beginning of a capture, as its writer left it.

    `format_id` is memray's number of the file format. `python_version` is of the traced program (3.12).
    `allocation_count` 0 and an end that equals the start mean that the writer never closed the file.
    """

    format_id: int
    python_version: str
    pid: int | None
    has_native_traces: bool
    is_aggregated: bool
    allocation_count: int
    started_at_seconds: float
    ended_at_seconds: float
    command_line: str


@noun
class WriterFacts:
    """What was seen of a process while it wrote a capture; None is not known.

    `was_recording` tells whether memray still recorded when it was told to end: it gives up where it cannot write.
    `could_grow` tells whether the file system had room for the file's next step of growth whenever it was looked at.
    """

    was_recording: bool | None = None
    could_grow: bool | None = None


@noun
class CaptureState:
    """What the bytes of a file tell without memray; None is unknown, `header` None when it is no capture.

    `is_whole` tells that a compressed file ends as its writer ends it. `has_trailer` tells that the records of an
    uncompressed file do, `padding_bytes` how many zeros come after its last byte. `writer` is what its maker noted
    beside it, where airmem made it.
    """

    path: str
    size_bytes: int
    header: CaptureHeader | None
    is_compressed: bool
    is_whole: bool | None
    has_trailer: bool | None
    obstacle: str
    padding_bytes: int | None = None
    writer: WriterFacts | None = None


@noun
class TimelinePoint:
    """The heap of one process, or of all together, at one time since the first start."""

    at_seconds: float
    heap_bytes: int
    rss_bytes: int
    process_count: int


@noun
class Place:
    """A line of a program: function, file as the traced Python named it, line (0: the whole function)."""

    function: str
    file: str
    line: int


@noun
class PlaceSum:
    """What was allocated at one place. `package` is the file of the innermost frame outside the standard library.

    `mapped_bytes` is the part that came by mmap: arenas, where memray does not see Python's own allocator.
    """

    place: Place
    package: str
    size_bytes: int
    allocation_count: int
    mapped_bytes: int = 0


@noun
class AllocatorSum:
    """What came through one allocator: malloc, mmap, pymalloc_malloc ..."""

    allocator: str
    size_bytes: int
    allocation_count: int


@noun
class ViewSums:
    """One view of one file: by innermost function, by the application's line and package, by allocator."""

    view: str
    total_bytes: int
    stack_count: int
    functions: tuple[PlaceSum, ...]
    causes: tuple[PlaceSum, ...]
    allocators: tuple[AllocatorSum, ...]


@noun
class CaptureFacts:
    """One file, read. `peak_bytes` is memray's own; `views` those that could be read; `problem` why none could.

    `last_at_seconds` is when the last snapshot of the heap was taken, `complaint` what memray said of its records when
    it read them all. `reader_peak_bytes` and `reader_cpu_seconds` are
    what reading took.
    """

    state: CaptureState
    pid: int | None = None
    peak_bytes: int | None = None
    memray_version: str = ""
    python_allocator: str = ""
    traces_python_allocators: bool = False
    last_at_seconds: float | None = None
    timeline: tuple[TimelinePoint, ...] = ()
    views: tuple[ViewSums, ...] = ()
    problem: str = ""
    complaint: str = ""
    reader_peak_bytes: int = 0
    reader_cpu_seconds: float = 0.0


@noun
class CaptureFile:
    """One file of the answer: its verdict, what it means, and its own sums (None: unknown)."""

    path: str
    verdict: str
    detail: str
    remedy: str
    pid: int | None
    role: str
    command_line: str
    python_version: str
    memray_format_id: int | None
    duration_seconds: float | None
    size_bytes: int
    peak_bytes: int | None
    leaked_bytes: int | None
    churn_bytes: int | None


@noun
class DistributionSum:
    """What one installed distribution holds, summed over all files.

    `kind` is core, task-sdk or provider for Airflow's parts, dag for the user's, stdlib, python (no frame) or package.
    `is_uncertain` marks what is too small to be told from others in the default mode.
    """

    distribution: str
    kind: str
    peak_bytes: int
    leaked_bytes: int
    churn_bytes: int | None
    peak_count: int
    is_uncertain: bool


@noun
class FrameSum:
    """What one line, or function (line 0), holds, summed over all files; `packages` are those it went through."""

    place: Place
    distribution: str
    packages: tuple[str, ...]
    peak_bytes: int
    leaked_bytes: int
    churn_bytes: int | None
    peak_count: int
    is_uncertain: bool


@noun
class AllocationTotals:
    """Sums over all files that could be read. `peak_bytes` is the sum of each process's own peak."""

    file_count: int
    unread_count: int
    process_count: int
    peak_bytes: int
    leaked_bytes: int
    churn_bytes: int | None
    churn_count: int | None
    is_lower_bound: bool


@noun
class AllocationChange:
    """What one line never freed in two sets of captures, shorter first.

    `verdict` is grows, steady, shrinks or small; `growth_ratio` None when the line was not there before.
    """

    place: Place
    distribution: str
    before_bytes: int
    after_bytes: int
    change_bytes: int
    growth_ratio: float | None
    verdict: str


@noun
class AllocationDiff:
    """Two sets of captures of different length, compared by the application's line in what was never freed."""

    before_paths: tuple[str, ...]
    before_seconds: float
    after_seconds: float
    before_bytes: int
    after_bytes: int
    frames: tuple[AllocationChange, ...]
    distributions: tuple[AllocationChange, ...]


@noun
class AnalyzeReport:
    """The answer to "where was it allocated?"."""

    head: Head
    files: tuple[CaptureFile, ...]
    totals: AllocationTotals
    by_distribution: tuple[DistributionSum, ...]
    by_application_frame: tuple[FrameSum, ...]
    top_functions: tuple[FrameSum, ...]
    allocators: tuple[AllocatorSum, ...]
    timeline: tuple[TimelinePoint, ...]
    gaps: tuple[Gap, ...]
    findings: tuple[Finding, ...]
    diff: AllocationDiff | None = None


@noun
class ReadingCost:
    """About what reading captures takes: CPU, memory of the reader, bytes of all files."""

    cpu_seconds: float
    memory_bytes: int
    size_bytes: int


@noun
class AnalyzeOptions:
    """What to ask captures.

    `application` are folders, or beginnings of paths below site-packages (`mypackage/`), that count as the application;
    none: all that is not installed, and airflow. `with_churn` None reads churn where it is cheap. `python` has the
    memray that reads, empty for airmem's own.
    """

    application: tuple[str, ...] = ()
    with_churn: bool | None = None
    python: str = ""
    other_paths: tuple[str, ...] = ()
