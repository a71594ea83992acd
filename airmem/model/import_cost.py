"""What imports cost: the record of one child interpreter, and what follows from it.

Bytes are anonymous memory unless a name says file: pages of libraries on disk are the page cache's, and shared by all.
"""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from airmem.model.finding import Finding
    from airmem.model.gap import Gap
    from airmem.model.report import Head


@noun
class ModuleLoad:
    """A module as it was loaded: what resident memory and the clock did meanwhile.

    `parent` is the module that was being loaded when this one was asked for, empty for the first; `importer_path` and
    `line` the code that asked. In another thread nothing can be told apart: its own and inclusive are 0.
    """

    name: str
    origin: str
    parent: str
    importer_path: str
    line: int
    own_bytes: int
    inclusive_bytes: int
    own_file_bytes: int
    own_seconds: float
    inclusive_seconds: float
    in_thread: bool


ImportNeed: TypeAlias = "tuple[str, str, tuple[str, ...], str, int]"
"""A line that asked for a module, loaded or not: importing module (empty: the program), name, those of the names
that it took from it that are modules, path, line. A tuple, since a service has 15,000 of them."""


@noun
class ImportFailure:
    """How an import failed: the exception's type and text, and the last line outside the import system."""

    kind: str
    message: str
    path: str
    line: int


@noun
class ImportRecord:
    """What one child interpreter told.

    `growth_bytes` is what the counters of statm gained, `walked_growth_bytes` the same by a walk over the page tables
    (None where the kernel refuses). `open_names` are the modules that had begun and not ended, outermost first, when
    the child ended early. `distributions` maps a module to (distribution, version).
    """

    python_version: str
    executable: str
    prefix: str
    asked: tuple[str, ...]
    loads: tuple[ModuleLoad, ...]
    needs: tuple[ImportNeed, ...]
    base_bytes: int
    growth_bytes: int
    growth_file_bytes: int
    walked_growth_bytes: int | None
    seconds: float
    distributions: dict[str, tuple[str, str]]
    without_bytecode_count: int
    failure: ImportFailure | None
    open_names: tuple[str, ...]
    is_complete: bool


@noun
class ImportLine:
    """A line of source that pulls a module in."""

    importer: str
    path: str
    line: int


@noun
class ModuleCost:
    """What a module costs.

    `own_bytes` came while its own code ran, `inclusive_bytes` with all that it was the first to import.
    `retained_bytes` is what nobody needs any more if nobody imports it and, for a package, all below it: up to that
    much goes, and `retained_count` modules. `lines` are those from outside that pull it in, told for what retains
    much.
    """

    name: str
    distribution: str
    version: str
    origin: str
    own_bytes: int
    inclusive_bytes: int
    retained_bytes: int
    retained_count: int
    own_file_bytes: int
    own_seconds: float
    seconds: float
    importer: str
    importer_path: str
    line: int
    lines: tuple[ImportLine, ...]
    in_thread: bool


@noun
class DistributionCost:
    """The sum over the modules of a distribution: `standard library`, or empty for what no RECORD lists."""

    distribution: str
    version: str
    module_count: int
    own_bytes: int
    own_file_bytes: int
    own_seconds: float


@noun
class ImportTotals:
    """The sums of one measure.

    `growth_bytes` is what the child really gained, `own_sum_bytes` what modules account for, `machinery_bytes` the
    rest: what the import system itself kept. `copied_bytes` is what the growth costs if the parent and each of
    `worker_count` forked workers end up with a copy of their own.
    """

    module_count: int
    base_bytes: int
    growth_bytes: int
    growth_file_bytes: int
    own_sum_bytes: int
    machinery_bytes: int
    walked_growth_bytes: int | None
    seconds: float
    worker_count: int | None
    copied_bytes: int | None


@noun
class ImportCost:
    """What imports cost in one child interpreter."""

    python_version: str
    executable: str
    asked: tuple[str, ...]
    totals: ImportTotals
    modules: tuple[ModuleCost, ...]
    distributions: tuple[DistributionCost, ...]


@noun
class BlockedImport:
    """A module measured again with it blocked: what was predicted and what was really saved.

    `way` is placeholder or missing; `saved_bytes` None means that nothing could be imported without it, and `detail`
    says why. `module_count` is how many modules fewer were loaded.
    """

    name: str
    predicted_bytes: int
    saved_bytes: int | None
    predicted_count: int
    saved_count: int | None
    way: str
    detail: str


@noun
class AllocationSite:
    """A line of code, what it allocated for a module and still held when the imports ended."""

    function: str
    path: str
    line: int
    size_bytes: int
    allocation_count: int


@noun
class TracedImports:
    """What memray saw of the same imports: bytes still held when they ended, by the module that was being loaded.

    `sites` are lines of the files of one module. `hidden` are modules that memray itself had loaded before.
    """

    own: dict[str, int]
    sites: tuple[AllocationSite, ...]
    total_bytes: int
    hidden: tuple[str, ...]
    memray_version: str


@noun
class Explanation:
    """A module by allocation, from a second child under memray, without places that hold less than 1 KiB.

    `own_bytes` and `inclusive_bytes` are of the module, and of a package all below it; `hidden_count` of their modules
    were loaded by memray itself, so that nothing was seen of them.
    """

    name: str
    own_bytes: int
    inclusive_bytes: int
    total_bytes: int
    hidden_count: int
    sites: tuple[AllocationSite, ...]
    memray_version: str


@noun
class CostChange:
    """A distribution on both sides of a comparison; None where it is not loaded at all."""

    distribution: str
    before_version: str | None
    after_version: str | None
    before_bytes: int | None
    after_bytes: int | None
    before_count: int
    after_count: int


@noun
class ImportComparison:
    """Two measures side by side. `kind` is module, python or revision; the rest of the answer is about `after`."""

    kind: str
    before_name: str
    after_name: str
    before: ImportTotals
    after: ImportTotals
    changes: tuple[CostChange, ...]


@noun
class HeavyImport:
    """An import that a budget pays for, and since when: `since_seconds` None is unknown.

    `since_evidence` says what tells the time: the commit of the line, or when its distribution was installed.
    """

    name: str
    retained_bytes: int
    lines: tuple[ImportLine, ...]
    since_seconds: float | None
    since_evidence: str


@noun
class ImportBudget:
    """A limit for the growth, whether it is kept, and the heavy imports, the newest first."""

    limit_bytes: int
    growth_bytes: int
    is_exceeded: bool
    heavy: tuple[HeavyImport, ...]


@noun
class ImportsReport:
    """The answer to "what do imports cost?"; what was not asked for is None or empty."""

    head: Head
    component: str | None
    cost: ImportCost
    without: tuple[BlockedImport, ...]
    explanation: Explanation | None
    comparison: ImportComparison | None
    budget: ImportBudget | None
    gaps: tuple[Gap, ...]
    findings: tuple[Finding, ...]
