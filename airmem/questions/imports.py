"""What do imports cost?"""

from __future__ import annotations

from contextlib import ExitStack

from airmem.analysis.import_cost import attribute_imports
from airmem.collect import clock
from airmem.collect.host import collect_host
from airmem.collect.imports import collect_since
from airmem.collect.source import open_source
from airmem.model.gap import Gap
from airmem.model.import_cost import HeavyImport, ImportBudget, ImportsReport
from airmem.model.report import Head
from airmem.questions.import_children import COMPONENTS, ImportsQuestion, Measurer
from airmem.rules.gaps import advise
from airmem.rules.import_cost import check_imports, heavy_modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.collect.source import Source
    from airmem.model.import_cost import BlockedImport, ImportCost, ImportRecord, ModuleCost

__all__ = ["COMPONENTS", "ImportsQuestion", "answer_imports"]

MOST_HEAVY = 20
MOST_LISTED = 10
HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"
COUNTER_RATIO = 0.02
"""Counters that miss the walk over the page tables by more than this part are told as a gap."""


def answer_imports(question: ImportsQuestion) -> ImportsReport:
    """Return what imports cost in fresh children, which run the modules' code.

    Errors: UsageProblem for what makes no sense, NotMeasurable when the modules cannot be imported to the end.
    """
    began, taken_at_seconds = clock.monotonic_seconds(), clock.now_seconds()
    source = open_source()
    with ExitStack() as stack:
        measurer = Measurer(question, source, stack)
        comparison, record = measurer.compare() if question.compare else (None, measurer.record())
        cost = attribute_imports(record, question.worker_count)
        without = tuple(measurer.block(name, cost, record) for name in question.without)
        explanation = measurer.explain(record) if question.explain else None
    budget = None if question.budget_bytes is None else _budget(cost, question.budget_bytes)
    return ImportsReport(
        head=Head(
            command="imports",
            taken_at_seconds=taken_at_seconds,
            took_seconds=clock.monotonic_seconds() - began,
            host=collect_host(source),
        ),
        component=question.component,
        cost=cost,
        without=without,
        explanation=explanation,
        comparison=comparison,
        budget=budget,
        gaps=advise((*_gaps(record, source), *_unverified(without))),
        findings=check_imports(cost, without, budget),
    )


def _budget(cost: ImportCost, limit_bytes: int) -> ImportBudget:
    is_exceeded = cost.totals.growth_bytes > limit_bytes
    heavy = [_heavy(one) for one in heavy_modules(cost, MOST_HEAVY)] if is_exceeded else []
    newest = sorted(heavy, key=lambda one: (-(one.since_seconds or 0.0), -one.retained_bytes))
    return ImportBudget(
        limit_bytes=limit_bytes,
        growth_bytes=cost.totals.growth_bytes,
        is_exceeded=is_exceeded,
        heavy=tuple(newest[:MOST_LISTED]),
    )


def _heavy(module: ModuleCost) -> HeavyImport:
    since_seconds, evidence = collect_since(module)
    return HeavyImport(
        name=module.name,
        retained_bytes=module.retained_bytes,
        lines=module.lines,
        since_seconds=since_seconds,
        since_evidence=evidence,
    )


def _gaps(record: ImportRecord, source: Source) -> list[Gap]:
    gaps = []
    if record.without_bytecode_count:
        detail = f"compiling took memory and time, since modules have none: {record.without_bytecode_count}"
        gaps.append(_gap("the cost with bytecode", "no_bytecode", detail))
    threaded = [load.name for load in record.loads if load.in_thread]
    if threaded:
        detail = f"another thread imported {threaded[0]} and what it needs, {len(threaded)} in all"
        gaps.append(
            _gap("own_bytes", "imported_in_thread", f"{detail}: what they took is in what was imported meanwhile")
        )
    if _has_huge_pages(source):
        gaps.append(
            _gap("own_bytes", "huge_pages", "memory comes in pages of 2 MiB, charged to whoever touched one first")
        )
    walked = record.walked_growth_bytes
    if walked is not None and abs(walked - record.growth_bytes) > COUNTER_RATIO * max(walked, 1):
        detail = f"the kernel's counters gained {record.growth_bytes} bytes, its page tables {walked}"
        gaps.append(_gap("own_bytes", "rss_counters", detail))
    return gaps


def _unverified(without: tuple[BlockedImport, ...]) -> list[Gap]:
    return [
        _gap(f"the saving without {one.name}", "not_verifiable", one.detail)
        for one in without
        if one.saved_bytes is None
    ]


def _has_huge_pages(source: Source) -> bool:
    try:
        return b"[always]" in source.read(HUGE_PAGES)
    except OSError:
        return False


def _gap(fact: str, reason: str, detail: str) -> Gap:
    return Gap(pid=None, fact=fact, reason=reason, detail=detail)
