"""`airmem imports` as a document: the tree of imports, what goes without which, and who brought it."""

from __future__ import annotations

from airmem.rules.import_cost import entry_modules, lazy_candidates
from airmem.units import MIB, format_age, format_bytes, format_change, format_seconds
from airmem.views.document import Cell, Column, Document, Facts, Paragraph, Row, Table
from airmem.views.judgement import view_findings, view_gaps, view_next

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.import_cost import (
        BlockedImport,
        Explanation,
        HeavyImport,
        ImportBudget,
        ImportComparison,
        ImportCost,
        ImportsReport,
        ModuleCost,
    )
    from airmem.views.document import Block

LEAST_RATIO = 0.01
"""A branch of the tree below this part of the growth is left out."""

LEAST_BYTES = MIB // 4
MOST_ROWS = 30
TOP_COUNT = 12
MOST_SITES = 20

MODULE = Column(
    name="name", header="MODULE", kind="text", meaning="the module, below the one that was the first to import it"
)
COLUMNS = {
    "own_bytes": ("OWN", "bytes", "grew while its own code ran"),
    "inclusive_bytes": ("INCLUSIVE", "bytes", "grew with all that it was the first to import"),
    "retained_bytes": (
        "RETAINED",
        "bytes",
        "up to this much goes if nobody imports it, for a package nor anything below it",
    ),
    "retained_count": ("MODULES", "count", "how many modules go with it"),
    "own_file_bytes": ("FILE", "bytes", "mapped from files on disk: shared by all processes that map them"),
    "own_seconds": ("OWN TIME", "seconds", "wall time of its own code"),
    "seconds": ("TIME", "seconds", "wall time with all that it was the first to import"),
    "distribution": ("DISTRIBUTION", "text", "what installed it; empty where no RECORD lists it"),
    "version": ("VERSION", "text", "the version of its distribution"),
    "importer": ("IMPORTER", "text", "the module that was the first to import it"),
    "importer_path": ("PATH", "text", "the file of the line that did"),
    "line": ("LINE", "text", "the line that did"),
}
TREE = ("inclusive_bytes", "own_bytes", "retained_bytes")
MILLISECONDS = Column(
    name="milliseconds", header="MS", kind="count", meaning="wall time with all that it imported first"
)
FOLDERS = ("/site-packages/", "/dist-packages/")
STANDARD = ("/lib/python3.", "/lib64/python3.")


def view_imports(report: ImportsReport, verbose: bool = False, top_count: int | None = None) -> Document:
    """Return the document; `verbose` adds every table and branch, `top_count` limits modules and distributions."""
    top = top_count or (1 << 30 if verbose else TOP_COUNT)
    return Document(
        blocks=(
            Paragraph(text=_headline(report), style="strong"),
            Paragraph(text=_method_line(report.cost), style="faint"),
            *_compared(report.comparison, top),
            *_blocked(report.without),
            *_explained(report.explanation, verbose),
            *_budgeted(report.budget, report.head.taken_at_seconds),
            *_tables(report, verbose, top),
            Facts(lines=tuple(_totals(report.cost))),
            *view_findings(report.findings),
            *view_gaps(report.gaps),
            *view_next(_next_command(report)),
        )
    )


def _tables(report: ImportsReport, verbose: bool, top: int) -> list[Block]:
    """Return the three tables; where something else was asked, only the one that a decision needs."""
    cost = report.cost
    if not cost.modules:
        return [Paragraph(text="Nothing new: this Python has loaded it when it starts.")]
    is_specific = report.without or report.explanation or report.comparison or report.budget
    tables = [_entries(cost, top)]
    if verbose or not is_specific:
        tables = [_tree(cost, verbose), *tables, _distributions(cost, top)]
    return [table for table in tables if table.rows]


def view_table(report: ImportsReport) -> Table:
    """Return every module with every column, for programs."""
    columns = (MODULE, *(_column(name) for name in COLUMNS))
    rows = [Row(cells=(one.name, *(getattr(one, name) for name in COLUMNS))) for one in report.cost.modules]
    return Table(name="modules", columns=columns, rows=tuple(rows))


def short_path(path: str) -> str:
    """Return a path without the folders above an installed package or the standard library."""
    for folder in FOLDERS:
        if folder in path:
            return path.rpartition(folder)[2]
    for folder in STANDARD:
        if folder in path:
            return path.rpartition(folder)[2].partition("/")[2]
    return path


def _column(name: str) -> Column:
    header, kind, meaning = COLUMNS[name]
    return Column(name=name, header=header, kind=kind, meaning=meaning)


def _headline(report: ImportsReport) -> str:
    cost = report.cost
    name = f"airflow {report.component}" if report.component else ", ".join(cost.asked)
    totals = cost.totals
    return (
        f"{name}: {_modules(totals.module_count)}, {format_bytes(totals.growth_bytes)} of memory,"
        f" {_duration(totals.seconds)}"
    )


def _modules(count: int) -> str:
    return f"{count} module{'s' if count != 1 else ''}"


def _duration(seconds: float) -> str:
    """Return a duration as the column MS has it where it is short."""
    return f"{_milliseconds(seconds)} ms" if seconds < 1 else format_seconds(seconds)


def _method_line(cost: ImportCost) -> str:
    return (
        f"Imported by a fresh child of {cost.executable} (Python {cost.python_version}); anonymous memory."
        " Who imports first pays: RETAINED is what goes without it, up to. Sizes in MiB."
    )


def _tree(cost: ImportCost, verbose: bool) -> Table:
    least_bytes = 1 if verbose else max(LEAST_BYTES, int(cost.totals.growth_bytes * LEAST_RATIO))
    shown = _shown(cost, least_bytes, 1 << 30 if verbose else MOST_ROWS)
    known = {one.name: one for one in cost.modules}
    rows = []
    for name, depth in _walk(cost, shown):
        module = known[name]
        values: tuple[Cell, ...] = tuple(getattr(module, column) for column in TREE)
        rows.append(Row(cells=(name, *values, _milliseconds(module.seconds), _importer(module)), indent=depth))
    by = Column(name="importer", header="IMPORTED BY", kind="title", meaning="the line that was the first to import it")
    columns = (MODULE, *(_column(name) for name in TREE), MILLISECONDS, by)
    return Table(name="tree", columns=columns, rows=tuple(rows), caption="The tree of imports, its heavy branches")


def _shown(cost: ImportCost, least_bytes: int, most: int) -> set[str]:
    """Return the modules that tell something: heavy, and not only a step on the way to one that is."""
    heavy = [one for one in cost.modules if one.inclusive_bytes >= least_bytes]
    below: dict[str, list[ModuleCost]] = {}
    for one in heavy:
        below.setdefault(one.importer, []).append(one)
    telling = [
        one
        for one in heavy
        if one.own_bytes >= least_bytes
        or len(below.get(one.name, ())) != 1
        or not one.importer
        or one.name in cost.asked
    ]
    return {one.name for one in sorted(telling, key=lambda one: -one.inclusive_bytes)[:most]}


def _walk(cost: ImportCost, shown: set[str]) -> list[tuple[str, int]]:
    """Return the shown modules with their depth, each below the nearest shown one that imported it, heaviest first."""
    below: dict[str, list[ModuleCost]] = {}
    for one in sorted(cost.modules, key=lambda one: -one.inclusive_bytes):
        below.setdefault(one.importer, []).append(one)
    found: list[tuple[str, int]] = []
    seen: set[str] = set()
    pending = [(one, 0) for one in reversed(below.get("", []))]
    while pending:
        module, depth = pending.pop()
        if module.name in seen:
            continue
        seen.add(module.name)
        if module.name in shown:
            found.append((module.name, depth))
        deeper = depth + (module.name in shown)
        pending.extend((one, deeper) for one in reversed(below.get(module.name, [])))
    return found


def _importer(module: ModuleCost) -> str:
    return f"{short_path(module.importer_path)}:{module.line}" if module.importer_path else "the command line"


def _entries(cost: ImportCost, top: int) -> Table:
    workers = cost.totals.worker_count
    copied = [Column(name="copied_bytes", header=f"x{workers}", kind="bytes", meaning="if each worker copies it")]
    columns = (
        MODULE,
        _column("retained_bytes"),
        *(copied if workers else []),
        _column("retained_count"),
        MILLISECONDS,
        Column(name="lines", header="LINES", kind="count", meaning="how many lines from outside import it"),
        Column(name="importer", header="FIRST OF THEM", kind="title", meaning="the first of those lines"),
    )
    rows = [
        Row(
            cells=(
                one.name,
                one.retained_bytes,
                *([one.retained_bytes * workers] if workers else []),
                one.retained_count,
                _milliseconds(one.seconds),
                len(one.lines),
                f"{short_path(one.lines[0].path)}:{one.lines[0].line}" if one.lines[0].path else "the command line",
            )
        )
        for one in entry_modules(cost)[:top]
    ]
    caption = "What goes, up to, if nobody imports it"
    return Table(name="entries", columns=columns, rows=tuple(rows), caption=caption)


def _distributions(cost: ImportCost, top: int) -> Table:
    name = Column(name="distribution", header="DISTRIBUTION", kind="text", meaning="what installed the modules")
    count = Column(name="module_count", header="MODULES", kind="count", meaning="how many modules of it were loaded")
    rows = [
        Row(
            cells=(
                f"{one.distribution} {one.version}".strip() or "(your code, or not installed by pip)",
                *(one.own_bytes, one.own_file_bytes, one.module_count, _milliseconds(one.own_seconds)),
            )
        )
        for one in cost.distributions[:top]
    ]
    columns = (name, _column("own_bytes"), _column("own_file_bytes"), count, MILLISECONDS)
    return Table(name="distributions", columns=columns, rows=tuple(rows), caption="By distribution")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _blocked(without: tuple[BlockedImport, ...]) -> list[Block]:
    if not without:
        return []
    columns = (
        Column(name="name", header="WITHOUT", kind="text", meaning="the module that was blocked"),
        Column(name="predicted_bytes", header="PREDICTED", kind="bytes", meaning="its retained memory, up to"),
        Column(name="saved_bytes", header="SAVED", kind="bytes", meaning="what the child grew less"),
        Column(name="saved_count", header="MODULES", kind="count", meaning="how many modules fewer were loaded"),
        Column(
            name="way", header="BLOCKED AS", kind="text", meaning="a placeholder stood in for it, or it was missing"
        ),
    )
    rows = [
        Row(cells=(one.name, one.predicted_bytes, one.saved_bytes, one.saved_count, one.way or "cannot be verified"))
        for one in without
    ]
    return [Table(name="without", columns=columns, rows=tuple(rows), caption="Measured again with it blocked")]


def _explained(explanation: Explanation | None, verbose: bool) -> list[Block]:
    if explanation is None:
        return []
    columns = (
        Column(name="size_bytes", header="HELD", kind="bytes", meaning="allocated there and not freed"),
        Column(name="allocation_count", header="BLOCKS", kind="count", meaning="how many"),
        Column(name="function", header="FUNCTION", kind="text", meaning="the function"),
        Column(name="path", header="LINE", kind="title", meaning="its innermost line in the module's own files"),
    )
    sites = explanation.sites if verbose else explanation.sites[:MOST_SITES]
    rows = [
        Row(cells=(one.size_bytes, one.allocation_count, one.function, f"{short_path(one.path)}:{one.line}"))
        for one in sites
    ]
    rest = explanation.inclusive_bytes - sum(one.size_bytes for one in sites)
    if 100 * rest >= explanation.inclusive_bytes and rest > 0:
        rows.append(Row(cells=(rest, None, "", "(all other lines)")))
    hidden = f"; {_modules(explanation.hidden_count)} unseen, which memray loads itself" * bool(
        explanation.hidden_count
    )
    caption = (
        f"{explanation.name} by allocation: {format_bytes(explanation.own_bytes)} by its own code,"
        f" {format_bytes(explanation.inclusive_bytes)} with all that it was the first to import"
        f" (memray {explanation.memray_version}{hidden})"
    )
    return [Table(name="explanation", columns=columns, rows=tuple(rows), caption=caption)]


def _compared(comparison: ImportComparison | None, top: int) -> list[Block]:
    if comparison is None:
        return []
    before, after = comparison.before_name, comparison.after_name
    columns = (
        Column(name="distribution", header="DISTRIBUTION", kind="text", meaning="what installed the modules"),
        Column(name="before_bytes", header="BEFORE", kind="bytes", meaning=f"own memory in {before}"),
        Column(name="after_bytes", header="AFTER", kind="bytes", meaning=f"own memory in {after}"),
        Column(name="change_bytes", header="CHANGE", kind="change", meaning="the difference"),
        Column(name="versions", header="VERSIONS", kind="text", meaning="the versions on both sides"),
    )
    rows = [
        Row(
            cells=(
                one.distribution or "(your code, or not installed by pip)",
                one.before_bytes or 0,
                one.after_bytes or 0,
                (one.after_bytes or 0) - (one.before_bytes or 0),
                _versions(one.before_version, one.after_version),
            )
        )
        for one in comparison.changes[:top]
    ]
    change = comparison.after.growth_bytes - comparison.before.growth_bytes
    caption = (
        f"{before} to {after}: {format_bytes(comparison.before.growth_bytes)} to"
        f" {format_bytes(comparison.after.growth_bytes)}, {format_change(change)}"
    )
    return [Table(name="comparison", columns=columns, rows=tuple(rows), caption=caption)]


def _versions(before: str | None, after: str | None) -> str:
    if before == after:
        return before or ""
    return f"{'none' if before is None else before} to {'none' if after is None else after}"


def _since(heavy: HeavyImport, now_seconds: float) -> str:
    if heavy.since_seconds is None:
        return "?"
    return f"{format_age(max(0.0, now_seconds - heavy.since_seconds))} ago, {heavy.since_evidence}"


def _budgeted(budget: ImportBudget | None, now_seconds: float) -> list[Block]:
    if budget is None:
        return []
    word = "exceeded" if budget.is_exceeded else "kept"
    line = f"Budget {format_bytes(budget.limit_bytes)}: {word}, {format_bytes(budget.growth_bytes)}"
    if not budget.heavy:
        return [Paragraph(text=line, style="strong")]
    columns = (
        Column(name="name", header="HEAVY", kind="text", meaning="a heavy import"),
        Column(name="retained_bytes", header="RETAINED", kind="bytes", meaning="up to this much goes without it"),
        Column(name="since", header="SINCE", kind="text", meaning="when it came, and what tells it"),
        Column(name="importer", header="IMPORTED BY", kind="title", meaning="the first line that imports it"),
    )
    rows = [
        Row(
            cells=(
                one.name,
                one.retained_bytes,
                _since(one, now_seconds),
                f"{short_path(one.lines[0].path)}:{one.lines[0].line}" if one.lines else "",
            )
        )
        for one in budget.heavy
    ]
    return [Table(name="budget", columns=columns, rows=tuple(rows), caption=f"{line}. Heavy imports, the newest first")]


def _totals(cost: ImportCost) -> list[tuple[str, str, str]]:
    totals = cost.totals
    lines = [
        ("Growth", format_bytes(totals.growth_bytes), "anonymous memory that the child gained"),
        ("Sum of OWN", format_bytes(totals.own_sum_bytes), "what modules account for"),
        ("Import system", format_bytes(totals.machinery_bytes), "the rest: lists of folders, and what no module began"),
        (
            "Files",
            format_bytes(totals.growth_file_bytes),
            "mapped libraries: the page cache's, shared by all processes",
        ),
    ]
    if totals.worker_count is not None:
        workers = f"the parent and {totals.worker_count} forked workers"
        lines.append(("Shared", format_bytes(totals.growth_bytes), f"{workers} together, until they copy it"))
        lines.append(("Copied", format_bytes(totals.copied_bytes), f"{workers}, up to, once each has copied it"))
    return lines


def _next_command(report: ImportsReport) -> str:
    found = [] if report.without or report.comparison else lazy_candidates(report.cost)
    if not found:
        return ""
    words = " ".join(report.cost.asked) if report.component is None else f"--component {report.component}"
    return f"airmem imports {words} --python {report.cost.executable} --without {found[0].name}"
