"""What a person should be told about copied memory, and what would help, in bytes of this tree."""

from __future__ import annotations

from airmem.model.cow import CowRemedy
from airmem.model.finding import Finding
from airmem.units import MIB, PAGE_BYTES, TICKS_PER_SECOND, format_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.cow import CollectorState, CowWorker, Forecast

TELL_BYTES = 32 * MIB
"""Copies of less than this, all workers together, are not worth a person's time at 3 a.m."""

REMEDY_BYTES = MIB
"""A remedy that saves less is not listed."""

HOLES_RATIO = 0.1
"""Where more than this part of the memory with tracked objects lies in pools with free blocks, another collection
before the fork makes matters worse (Objects/obmalloc.c: the next allocation writes to a freed block's page)."""

STARTER_ROLES = ("resource-tracker", "forkserver")
"""Processes of multiprocessing that no start method does without: they would be there with fork, or are forked from."""

RECYCLED_SECONDS = 60
"""Workers that started further apart than this were not forked together."""

FREEZE_EFFECTS = (
    "Side effects: cyclic garbage among frozen objects is never freed (docs.python.org/3/library/gc.html#gc.freeze);"
    " freezing and unfreezing again and again leaked in Airflow (github.com/apache/airflow/pull/60505)."
)
QUIET_EFFECTS = "Side effects: none for the workers; what the parent does in between must be done by somebody else."
RECYCLE_EFFECTS = "Side effects: a leak in a worker is no longer cut short by its end; watch with airmem pss --every."
FORK_EFFECTS = (
    "Side effects: locks, threads and connections of the parent are inherited as they are at the fork"
    " (docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods)."
)
IMPORT_EFFECTS = (
    "Side effects: the parent grows by as much, a collection in a worker copies it unless it is frozen, and what runs"
    " at import (threads, connections) runs before the fork (docs.gunicorn.org/en/stable/settings.html#preload-app)."
)
IMMORTAL_EFFECTS = "Side effects: those of an upgrade (PEP 683; peps.python.org/pep-0683)."


def check_cow(
    workers: tuple[CowWorker, ...], forecast: Forecast, collector: CollectorState | None
) -> tuple[Finding, ...]:
    """Return the findings about what workers copied, the gravest first."""
    return (
        *check_at_risk(workers, forecast, collector),
        *check_collected(workers),
        *check_counted(workers),
        *check_parent(workers),
        *check_unforked(workers),
    )


def check_at_risk(
    workers: tuple[CowWorker, ...], forecast: Forecast, collector: CollectorState | None
) -> list[Finding]:
    """AM111: the next full collection in the workers will copy much of what is still shared."""
    if (forecast.at_risk_bytes or 0) < TELL_BYTES:
        return []
    most = max(one.at_risk_bytes or 0 for one in workers)
    frozen = f"{collector.frozen_count if collector else 0} objects frozen"
    return [
        _finding(
            "AM111",
            "warning",
            f"The next full collections will copy {format_bytes(forecast.at_risk_bytes)} that is shared now",
            f"up to {format_bytes(most)} in each of {_count(workers, 'at_risk_bytes')} workers; {frozen}",
            "Call gc.freeze() in the parent right before it forks",
        )
    ]


def check_collected(workers: tuple[CowWorker, ...]) -> list[Finding]:
    """AM112: the garbage collector has copied memory that workers inherited."""
    size = sum(one.causes.gc_bytes for one in workers if one.causes)
    if size < TELL_BYTES:
        return []
    return [
        _finding(
            "AM112",
            "warning",
            f"The garbage collector made workers copy {format_bytes(size)}",
            "pages with collectable objects, unchanged but for the collector's own words",
            "Call gc.freeze() in the parent right before it forks; the copies go when the workers are replaced",
        )
    ]


def check_counted(workers: tuple[CowWorker, ...]) -> list[Finding]:
    """AM113: reference counts have copied memory that workers inherited."""
    size = sum(one.causes.refcount_bytes for one in workers if one.causes)
    if size < TELL_BYTES:
        return []
    names = [one.type for worker in workers for one in worker.types if one.cause == "refcount"][:3]
    return [
        _finding(
            "AM113",
            "warning",
            f"Reference counts made workers copy {format_bytes(size)}",
            f"most pages by objects of {', '.join(dict.fromkeys(names)) or 'unknown types'}",
            "Workers look at these objects: hold such data in arrays, bytes or a file instead, or look at less of it",
        )
    ]


def check_parent(workers: tuple[CowWorker, ...]) -> list[Finding]:
    """AM114: the parent wrote after the fork, so that it and its workers hold two versions."""
    size = max((one.copied_by_parent_bytes or 0 for one in workers), default=0)
    if size < TELL_BYTES:
        return []
    return [
        _finding(
            "AM114",
            "note",
            f"The parent has written {format_bytes(size)} since it forked, the workers keep the originals",
            "pages of which the parent alone has a copy",
            "Let the parent do nothing after the fork that touches what it shares; gc.unfreeze() does",
        )
    ]


def check_unforked(workers: tuple[CowWorker, ...]) -> list[Finding]:
    """AM115: children run the same Python without having been forked, so that they share nothing."""
    unforked = _unforked(workers)
    size = sum(one.new_bytes or 0 for one in unforked)
    if size < TELL_BYTES:
        return []
    return [
        _finding(
            "AM115",
            "note",
            f"{len(unforked)} Python children were started anew (spawn, exec): they share nothing with their parent",
            f"{format_bytes(size)} of their own; the same words written by every one of them",
            "Where forking is safe, the start method fork or a forkserver that preloads shares what is imported before",
        )
    ]


def _finding(code: str, severity: str, summary: str, evidence: str, remedy: str) -> Finding:
    return Finding(code=code, severity=severity, pid=None, summary=summary, evidence=evidence, remedy=remedy)


def _unforked(workers: tuple[CowWorker, ...]) -> list[CowWorker]:
    """Return the children that run Python anew and do the service's work."""
    return [
        one
        for one in workers
        if not one.process.is_forked and one.role not in STARTER_ROLES and _is_python(one) and one.new_bytes
    ]


def _is_python(worker: CowWorker) -> bool:
    return "python" in worker.process.title.partition(" ")[0]


def _count(workers: tuple[CowWorker, ...], name: str) -> int:
    return sum(1 for one in workers if getattr(one, name))


def find_remedies(
    workers: tuple[CowWorker, ...],
    forecast: Forecast,
    collector: CollectorState | None,
    *,
    old_originals_bytes: tuple[int, int],
    hole_bytes: int | None,
) -> tuple[CowRemedy, ...]:
    """Return what would help, the most first, each with the bytes it saves in this tree.

    `old_originals_bytes`: originals that only workers still map, since their parent wrote after the fork; and what
    there would be less of if all workers had the same. `hole_bytes`: pages of the parent in pools with free blocks.
    """
    found = [
        *_freeze(workers, forecast, collector, hole_bytes),
        *_quiet_parent(workers, *old_originals_bytes),
        *_immortal(workers),
        *_fork(workers),
        *_import(workers),
    ]
    return tuple(sorted((one for one in found if one.saves_bytes >= REMEDY_BYTES), key=lambda one: -one.saves_bytes))


def _freeze(
    workers: tuple[CowWorker, ...], forecast: Forecast, collector: CollectorState | None, hole_bytes: int | None
) -> list[CowRemedy]:
    if collector is None or forecast.at_risk_bytes is None:
        return []
    done = sum(one.causes.gc_bytes for one in workers if one.causes)
    tracked = sum(one.page_count for one in collector.generations) * PAGE_BYTES
    is_cheap = (hole_bytes or 0) <= HOLES_RATIO * tracked
    verdict = "it pays here" if is_cheap else "better leave it, and gc.disable() early"
    first = (
        f"Pools with free blocks hold {format_bytes(hole_bytes)}, which workers copy as they allocate. Collecting right"
        f" before adds what it frees to that: {verdict}."
    )
    return [
        CowRemedy(
            name="gc.freeze before fork",
            saves_bytes=done + forecast.at_risk_bytes,
            certainty="exact" if all(one.certainty == "exact" for one in workers) else "inferred",
            how=f"{format_bytes(done)} copied by collections, {format_bytes(forecast.at_risk_bytes)} to come. {first}",
            side_effects=FREEZE_EFFECTS,
        )
    ]


def _quiet_parent(workers: tuple[CowWorker, ...], old_originals_bytes: int, generations_bytes: int) -> list[CowRemedy]:
    how = "What the parent wrote after the fork exists twice: its copy, and the originals that its workers map."
    found = [
        CowRemedy(
            name="a parent that rests after the fork",
            saves_bytes=old_originals_bytes,
            certainty="exact" if all(one.certainty == "exact" for one in workers) else "inferred",
            how=how,
            side_effects=QUIET_EFFECTS,
        )
    ]
    starts = [one.process.start_ticks for one in workers if one.process.is_forked]
    if starts and max(starts) - min(starts) > RECYCLED_SECONDS * TICKS_PER_SECOND:
        found.append(
            CowRemedy(
                name="keep workers from being recycled",
                saves_bytes=generations_bytes,
                certainty="inferred",
                how="Workers were forked at different times: all originals but those of one generation would go.",
                side_effects=RECYCLE_EFFECTS,
            )
        )
    return found


def _immortal(workers: tuple[CowWorker, ...]) -> list[CowRemedy]:
    size = sum(one.static_refcount_bytes or 0 for one in workers)
    return [
        CowRemedy(
            name="Python 3.12 or later",
            saves_bytes=size,
            certainty="inferred",
            how="At least: counts of objects that are part of Python itself are not written there, they are immortal.",
            side_effects=IMMORTAL_EFFECTS,
        )
    ]


def _fork(workers: tuple[CowWorker, ...]) -> list[CowRemedy]:
    sizes = [one.new_bytes or 0 for one in _unforked(workers)]
    if len(sizes) < 2:
        return []
    return [
        CowRemedy(
            name="fork instead of spawn",
            saves_bytes=min(sizes) * (len(sizes) - 1),
            certainty="inferred",
            how=f"At most: if what the smallest of {len(sizes)} children holds were imported once, before the fork.",
            side_effects=FORK_EFFECTS,
        )
    ]


def _import(workers: tuple[CowWorker, ...]) -> list[CowRemedy]:
    sizes = [one.imported_bytes or 0 for one in workers if one.process.is_forked]
    return [
        CowRemedy(
            name="import before fork",
            saves_bytes=sum(sizes) - max(sizes, default=0),
            certainty="inferred",
            how="What workers have imported after the fork, by where code lies: once for all of them but one.",
            side_effects=IMPORT_EFFECTS,
        )
    ]
