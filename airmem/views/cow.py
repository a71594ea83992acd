"""`airmem cow` as a document: who copied, why, what comes next, what would help."""

from __future__ import annotations

from airmem.model.cow import INFERRED_BYTES
from airmem.rules.asking import next_command
from airmem.units import PAGE_BYTES, format_bytes, format_seconds
from airmem.views.document import Cell, Column, Document, Facts, Paragraph, Row, Table
from airmem.views.judgement import view_findings, view_gaps, view_next
from airmem.views.title import short_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.cow import CollectorState, Coverage, CowReport, CowWorker
    from airmem.model.gap import Gap
    from airmem.views.document import Block

ROLE = Column(name="role", header="ROLE", kind="text", meaning="worker, child, or the service's own word")
PID = Column(name="pid", header="PID", kind="text", meaning="process id, as seen from here")
WRITER = Column(
    name="certainty", header="WRITER", kind="text", meaning="whether who wrote is exact or inferred", is_spare=True
)
TITLE = Column(name="title", header="TITLE", kind="title", meaning="command line without secrets")
BYTES = {
    "inherited_bytes": ("INHERITED", "anonymous pages that it and its parent have at the same address"),
    "shared_bytes": ("SHARED", "of those, pages still shared with the parent"),
    "copied_bytes": ("COPIED", "of those, pages that it copied by writing to them"),
    "copied_by_parent_bytes": ("BY PARENT", "of those, pages that its parent copied by writing to them"),
    "both_wrote_bytes": ("BOTH", "of COPIED, pages that the parent wrote, too, and may have copied instead"),
    "gc_bytes": ("GC", "copied by the cyclic garbage collector"),
    "refcount_bytes": ("REFCOUNT", "copied by changing reference counts alone"),
    "data_bytes": ("DATA", "copied by changing anything else"),
    "unknown_bytes": ("UNKNOWN", "copied for a reason that does not show"),
    "new_bytes": ("NEW", "anonymous pages that came after the fork"),
    "freed_by_parent_bytes": ("FREED", "inherited pages that the parent has since freed"),
    "swapped_bytes": ("SWAPPED", "not compared, since it or its parent's is swapped out"),
    "at_risk_bytes": ("AT RISK", "still shared, and copied by the next full collection in this process"),
}
CAUSE_NAMES = ("gc_bytes", "refcount_bytes", "data_bytes", "unknown_bytes")
BRIEF = ("inherited_bytes", "shared_bytes", "copied_bytes", *CAUSE_NAMES, "copied_by_parent_bytes", "new_bytes")
SPARE = ("inherited_bytes", "copied_by_parent_bytes", "new_bytes")
RARE = ("freed_by_parent_bytes", "swapped_bytes", "copied_by_parent_bytes")
WITH_CONTENTS = (*CAUSE_NAMES, "at_risk_bytes")
MOST_TYPES = 10


def view_cow(report: CowReport, verbose: bool = False, top_count: int | None = None) -> Document:
    """Return the document; `verbose` adds every column, `top_count` limits the types."""
    if report.root_pid is None:
        return Document(blocks=_verify_freeze(report))
    return Document(
        blocks=(
            Paragraph(text=_headline(report), style="strong"),
            Paragraph(text="Anonymous memory, compared with each process's own parent. Sizes in MiB.", style="faint"),
            *_coverage(report.coverage),
            *([_workers(report, verbose)] if report.workers else []),
            *_doubt(report.workers, report.gaps),
            *_collector(report),
            *_types(report, top_count or MOST_TYPES),
            *_remedies(report),
            *_verify_freeze(report),
            *view_findings(report.findings),
            *view_gaps(report.gaps),
            *view_next(_next_command(report)),
        )
    )


def _verify_freeze(report: CowReport) -> tuple[Block, ...]:
    if report.verify_freeze is None:
        return ()
    from airmem.views.freeze_trial import view_freeze_trial  # noqa: PLC0415  # only when asked for

    return view_freeze_trial(report.verify_freeze)


def view_cow_table(report: CowReport) -> Table:
    """Return the whole table for programs: one row for each descendant."""
    columns = (PID, ROLE, WRITER, *(_column(name) for name in BYTES), TITLE)
    rows = [
        Row(
            cells=(
                *(one.process.pid, one.role, one.certainty),
                *(_value(one, name) for name in BYTES),
                one.process.title,
            )
        )
        for one in report.workers
    ]
    return Table(name="workers", columns=columns, rows=tuple(rows))


def _headline(report: CowReport) -> str:
    count = len(report.workers)
    component = f"{report.component} " if report.component else ""
    below = f"{count} descendant{'s' if count != 1 else ''}" if count else "no descendants: nothing can be shared"
    if not count and any(gap.fact in ("process", "tree") for gap in report.gaps):
        below = "no descendants could be read"
        return f"{component}{report.root_pid}: {below}, answered in {format_seconds(report.head.took_seconds)}"
    return f"{component}{report.root_pid} and {below}, read in {format_seconds(report.head.took_seconds)}"


def _coverage(coverage: Coverage | None) -> list[Paragraph]:
    """Return how much was read, where that is not all."""
    if coverage is None or coverage.fraction_ratio >= 1:
        return []
    text = (
        f"{coverage.fraction_ratio:.0%} of the copied pages were read: the bytes of each cause are estimates, within"
        f" {coverage.margin_ratio:.1%} of a worker's copies (95 % confidence)."
    )
    return [Paragraph(text=text, style="faint")]


def _column(name: str) -> Column:
    header, meaning = BYTES[name]
    return Column(name=name, header=header, kind="bytes", meaning=meaning, is_spare=name in SPARE)


def _value(worker: CowWorker, name: str) -> int | None:
    holder = worker.causes if name in CAUSE_NAMES else worker
    value: int | None = getattr(holder, name, None)
    return value


def _workers(report: CowReport, verbose: bool) -> Table:
    names = [name for name in BYTES if verbose or name in BRIEF or name in (*RARE, *WITH_CONTENTS)]
    if not verbose:
        rare = {name for name in RARE if not any(_value(one, name) for one in report.workers)}
        unknown = {name for name in WITH_CONTENTS if all(_value(one, name) is None for one in report.workers)}
        if not any(_value(one, "unknown_bytes") for one in report.workers):
            unknown.add("unknown_bytes")
        names = [name for name in names if name not in rare | unknown]
    inferred = verbose or any(one.certainty != "exact" for one in report.workers)
    columns = (ROLE, PID, *(_column(name) for name in names), *[WRITER] * inferred, TITLE)
    rows = []
    for one in report.workers:
        values: list[Cell] = [_value(one, name) for name in names]
        certainty = [one.certainty] * inferred
        rows.append(Row(cells=(one.role, str(one.process.pid), *values, *certainty, short_title(one.process))))
    return Table(name="workers", columns=columns, rows=tuple(rows))


def _doubt(workers: tuple[CowWorker, ...], gaps: tuple[Gap, ...]) -> list[Paragraph]:
    """Return how far one look cannot tell who wrote."""
    lines: list[str] = []
    exact = [one for one in workers if one.certainty == "exact"]
    inferred = [one for one in workers if one.certainty != "exact" and one.copied_bytes is not None]
    most = _most_by_parents(exact)
    if most:
        lines.append(f"Of COPIED up to {format_bytes(most)} a process may be the parent's copies: both wrote to them.")
    if inferred:
        most = _most_by_parents(inferred)
        rested = f", less than {format_bytes(INFERRED_BYTES)} if it has rested since the fork"
        lines.append(
            f"Where the writer is inferred, up to {format_bytes(most)} of COPIED may be the parent's writing"
            f"{rested if most > INFERRED_BYTES else ''}."
        )
    if any(one.fact == "writer" for one in gaps):
        forked = {one.process.parent_pid for one in workers}
        most = max((one.copied_by_parent_bytes or 0 for one in workers if one.process.pid in forked), default=0)
        if most >= INFERRED_BYTES:
            lines.append(
                f"Of BY PARENT up to {format_bytes(most)} may be copied by a process that has forked since: it shares"
                " copies with its children then, as originals would be."
            )
    return [Paragraph(text=line, style="faint") for line in lines]


def _most_by_parents(workers: list[CowWorker]) -> int:
    """Return how much of what one process copied its parent may have copied instead: all where that is unknown."""
    return max(
        (one.copied_bytes or 0 if one.both_wrote_bytes is None else one.both_wrote_bytes for one in workers), default=0
    )


def _collector(report: CowReport) -> list[Facts | Paragraph]:
    lines = []
    if report.collector is not None:
        lines.append(Paragraph(text=describe_collector(report.collector, report.workers)))
    if report.forecast.at_risk_bytes is not None:
        lines.append(Paragraph(text=_forecast(report)))
    return [*lines]


def describe_collector(parents: CollectorState, workers: tuple[CowWorker, ...]) -> str:
    """Return what is kept from collections, as a sentence: workers may have frozen or unfrozen for themselves."""
    known = [one.collector for one in workers if one.collector is not None]
    frozen = [one for one in known if one.frozen_count]
    most = max((*frozen, parents), key=lambda one: one.frozen_count)
    if not most.frozen_count:
        count = sum(one.object_count for one in parents.generations)
        return f"Nothing is frozen: a collection visits all {count:,} objects that the collector tracks."
    where = "" if len(frozen) == len(known) else f" in {len(frozen)} of {len(known)} processes"
    if frozen and not parents.frozen_count:
        where += ", though not in their parent any more" if not where else ""
    size = format_bytes(most.frozen_pages * PAGE_BYTES)
    return f"gc.freeze is in effect{where}: {most.frozen_count:,} objects, {size} protected from collections."


def _forecast(report: CowReport) -> str:
    risks = sorted((one.at_risk_bytes for one in report.workers if one.at_risk_bytes), reverse=True)
    known = sum(one.at_risk_bytes is not None for one in report.workers)
    if not risks:
        where = (
            "" if known == len(report.workers) else f" in the {known} of {len(report.workers)} processes that were read"
        )
        return f"A full collection would copy nothing that is still shared{where}."
    alike = sum(2 * risk >= risks[0] for risk in risks)  # a frozen worker's few pages are no risk beside the others'
    every = len(report.workers)
    who = f"{alike} worker{'s' if alike != 1 else ''}" if alike == every else f"{alike} of {every} processes"
    total = f"{'at least ' * (known < every)}{format_bytes(report.forecast.at_risk_bytes)}"
    return f"At risk {format_bytes(risks[0])} x {who}: the next full collection in each copies that, {total} in all."


def _types(report: CowReport, count: int) -> list[Table]:
    rows: dict[tuple[str, str], list[int]] = {}
    for worker in report.workers:
        for one in worker.types:
            cell = rows.setdefault((one.type, one.cause), [0, 0])
            cell[0] += one.word_count
            cell[1] += one.page_count
    if not rows:
        return []
    top = sorted(rows.items(), key=lambda item: -item[1][1])[:count]
    columns = (
        Column(name="cause", header="CAUSE", kind="text", meaning="what was written: reference counts, or GC heads"),
        Column(name="word_count", header="WORDS", kind="count", meaning="words of objects of this type that changed"),
        Column(name="page_count", header="PAGES", kind="count", meaning="copied pages on which they lie"),
        Column(name="type", header="TYPE", kind="title", meaning="the type's qualified name"),
    )
    table = tuple(Row(cells=(cause, words, pages, name)) for (name, cause), (words, pages) in top)
    return [Table(name="types", columns=columns, rows=table, caption="Types whose words changed, all workers:")]


def _remedies(report: CowReport) -> list[Paragraph]:
    return [
        Paragraph(
            text=f"{one.name} saves {format_bytes(one.saves_bytes)} ({one.certainty}). {one.how} {one.side_effects}",
            hang=2,
        )
        for one in report.remedies
    ]


def _next_command(report: CowReport) -> str:
    origin = report.head.origin
    if not report.workers and report.parent_pid is not None and not origin:
        return next_command(origin, "cow", report.parent_pid)
    if not report.workers:
        return next_command(origin, "ps")
    return next_command(origin, "pss", report.root_pid, "--mappings")
