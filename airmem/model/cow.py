"""Why memory is no longer shared: the nouns of `airmem cow`."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from airmem.model.anonymous import AddressRange
    from airmem.model.finding import Finding
    from airmem.model.freeze_trial import FreezeTrial
    from airmem.model.gap import Gap
    from airmem.model.process import Process
    from airmem.model.report import Head

CAUSES = ("gc", "refcount", "data", "unknown")

INFERRED_BYTES = 1 << 20
"""Where the writer is inferred, figures of a worker are told no finer than this, even if its parent rests: a parent and
one worker that rest write 0.3 to 0.5 MiB each of what they share, and those pages look alike."""


@noun
class CauseBytes:
    """The copied bytes of a worker by what wrote to their pages; they sum to its copied bytes.

    `gc_bytes`: the cyclic collector's list heads. `refcount_bytes`: reference counts alone. `data_bytes`: other
    words. `unknown_bytes`: pages that could not be read or understood, or that changed at every look.
    """

    gc_bytes: int
    refcount_bytes: int
    data_bytes: int
    unknown_bytes: int


@noun
class WriteBytes:
    """How the data of a worker's copied pages came about, as far as it can be told; they sum to `data_bytes`.

    `allocated_bytes`: objects were made in free blocks of inherited pools. `freed_bytes`: inherited objects were freed.
    `changed_bytes`: words of living objects or buffers were changed in place.
    """

    allocated_bytes: int
    freed_bytes: int
    changed_bytes: int


@noun
class TypeWords:
    """How many words of a type's objects, on how many copied pages, one cause wrote."""

    type: str
    cause: str
    word_count: int
    page_count: int


@noun
class Generation:
    """One generation of the collector: how many objects it holds, and on how many pages their heads lie."""

    object_count: int
    page_count: int


@noun
class CollectorState:
    """The cyclic collector of one process, read from outside.

    `frozen_count` objects are in the permanent generation, which no collection visits; their heads lie on
    `frozen_pages`. `full_collection_count` is how often the oldest generation was collected, `full_since_fork_count`
    how much more often than its parent's, None where the counter cannot be read.
    """

    generations: tuple[Generation, ...]
    frozen_count: int
    frozen_pages: int
    full_collection_count: int | None
    full_since_fork_count: int | None


@noun
class PageRuns:
    """Neighboring pages of a process that share a state and a cause: material for a map of its address space.

    Parallel: first page numbers (int64), page counts (int32), states and causes (uint8, places in PAGE_STATES and
    CAUSES; a cause stands only where the state is copied), and the type that was written most, None where none shows.
    `ranges` are the mappings of the process, ascending.
    """

    first_pages: npt.NDArray[np.int64]
    page_counts: npt.NDArray[np.int32]
    states: npt.NDArray[np.uint8]
    causes: npt.NDArray[np.uint8]
    types: tuple[str | None, ...]
    ranges: tuple[AddressRange, ...]


PAGE_STATES = ("new", "shared", "copied", "copied_by_parent", "freed_by_parent", "swapped")


@noun
class CowMapping:
    """What became of one mapping's anonymous pages in a worker, in bytes."""

    start_address: int
    end_address: int
    name: str
    shared_bytes: int
    copied_bytes: int
    copied_by_parent_bytes: int
    new_bytes: int


@noun
class CowWorker:
    """A process compared with its own parent, on anonymous pages (zero pages apart).

    `inherited_bytes` are those that both have at the same address: shared, copied by itself or copied by its parent.
    `freed_by_parent_bytes` were inherited, too, and the parent has none of them any more. `new_bytes` came after the
    fork. `certainty` is exact, or inferred where the kernel does not tell who wrote. `both_wrote_bytes` of the copied
    ones were written by the parent, too, so that it may have copied them instead: at most so many where `certainty` is
    inferred (INFERRED_BYTES if the parent rests); None where not even that is known. `writes`, `collector` and
    `at_risk_bytes` are None where contents could not be read; at risk is what one full collection in this worker alone
    would copy, `frozen_shared_bytes` what gc.freeze keeps it from copying. `static_refcount_bytes` of those copied by
    reference counts lie in files of programs and libraries, whose objects are immortal since Python 3.12; None where
    they are that already. `imported_bytes` of the new ones lie beside code, or in files, as imports after the fork
    leave them. `unstable_bytes` changed while they were read. All are None where the page table cannot be read.
    """

    process: Process
    role: str
    component: str | None
    certainty: str
    inherited_bytes: int | None
    shared_bytes: int | None
    copied_bytes: int | None
    copied_by_parent_bytes: int | None
    both_wrote_bytes: int | None
    freed_by_parent_bytes: int | None
    new_bytes: int | None
    swapped_bytes: int | None
    causes: CauseBytes | None
    writes: WriteBytes | None
    types: tuple[TypeWords, ...]
    collector: CollectorState | None
    at_risk_bytes: int | None
    frozen_shared_bytes: int | None
    static_refcount_bytes: int | None
    imported_bytes: int | None
    unstable_bytes: int
    mappings: tuple[CowMapping, ...]
    runs: PageRuns | None


@noun
class Forecast:
    """The sudden jump, foretold: what the tree would grow by if every process of it collected once.

    One copy of each page may stay with the last that maps the original. None where contents could not be read.
    """

    at_risk_bytes: int | None
    worker_count: int


@noun
class CowRemedy:
    """Something that would help: how much it would save in this tree, how certain that is, and what it does besides."""

    name: str
    saves_bytes: int
    certainty: str
    side_effects: str
    how: str


@noun
class Coverage:
    """How much of the contents was read: all (`fraction_ratio` 1), or a part chosen at random.

    Then figures by cause are estimates: each is within `margin_ratio` of the copied bytes with 95 % confidence.
    `duty_ratio` is the part of the time that was spent reading.
    """

    read_bytes: int
    fraction_ratio: float
    margin_ratio: float
    duty_ratio: float | None


@noun
class CowReport:
    """The answer to "why is it no longer shared, and what would fix it?".

    `parent_pid` is the parent of the process that was asked about if that was forked, else None. `free_block_bytes` of
    its pages are in pools with free blocks: who allocates copies them. That and `coverage` are None if no contents were
    read. `verify_freeze` is None unless asked for; `root_pid` is None where nothing else was.
    """

    head: Head
    root_pid: int | None
    parent_pid: int | None
    component: str | None
    collector: CollectorState | None
    free_block_bytes: int | None
    workers: tuple[CowWorker, ...]
    forecast: Forecast
    coverage: Coverage | None
    remedies: tuple[CowRemedy, ...]
    gaps: tuple[Gap, ...]
    findings: tuple[Finding, ...]
    verify_freeze: FreezeTrial | None = None
