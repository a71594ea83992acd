"""What a person should be told about the cost of imports."""

from __future__ import annotations

from airmem.model.finding import Finding
from airmem.units import MIB, format_bytes, format_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.import_cost import BlockedImport, ImportBudget, ImportCost, ImportLine, ModuleCost

LAZY_BYTES = MIB
"""From here on an import is worth moving into the function that needs it."""

LAZY_LINES = 3
"""More lines than these to change are a project, not a finding."""

MOST_CANDIDATES = 8

STANDARD = "standard library"
"""Its modules are no candidates: whoever else needs them imports them as well."""

MISSED_RATIO = 0.2
"""A prediction that misses what was saved by more than this part is worth an explanation."""


def check_imports(
    cost: ImportCost, without: tuple[BlockedImport, ...], budget: ImportBudget | None
) -> tuple[Finding, ...]:
    """Return the findings about imports, the gravest first."""
    return (*check_budget(budget), *check_predictions(without), *check_lazy(cost))


def lazy_candidates(cost: ImportCost) -> list[ModuleCost]:
    """Return the modules that few lines pull in and that retain much, the most first.

    What only another candidate imports goes with that one, and is none of its own.
    """
    found: list[ModuleCost] = []
    for one in entry_modules(cost):
        if one.retained_bytes >= LAZY_BYTES and _is_candidate(one):
            within = tuple(f"{other.name}." for other in found)
            if not within or not all(f"{line.importer}.".startswith(within) for line in one.lines):
                found.append(one)
    return found[:MOST_CANDIDATES]


def check_lazy(cost: ImportCost) -> list[Finding]:
    """AM611: few lines pull in much that nobody else needs."""
    return [
        Finding(
            code="AM611",
            severity="note",
            pid=None,
            summary=f"{one.name} costs up to {format_bytes(one.retained_bytes)} and is imported by {_count(one)}",
            evidence=f"{_modules(one.retained_count)}; {'; '.join(_place(line) for line in one.lines)}",
            remedy="If not every process needs it, import it in the function that does; what that saves is measured"
            f" with --without {one.name}",
        )
        for one in lazy_candidates(cost)
    ]


def check_budget(budget: ImportBudget | None) -> list[Finding]:
    """AM612: the imports cost more than their budget."""
    if budget is None or not budget.is_exceeded:
        return []
    over = format_bytes(budget.growth_bytes - budget.limit_bytes)
    heavy = ", ".join(f"{one.name} up to {format_bytes(one.retained_bytes)}" for one in budget.heavy[:3])
    return [
        Finding(
            code="AM612",
            severity="warning",
            pid=None,
            summary=f"The imports cost {over} more than their budget",
            evidence=f"{format_bytes(budget.growth_bytes)} of {format_bytes(budget.limit_bytes)}",
            remedy=f"The newest heavy imports are {heavy}" if heavy else "No single import is heavy: the sum is",
        )
    ]


def check_predictions(without: tuple[BlockedImport, ...]) -> list[Finding]:
    """AM613: blocking a module saved much less, or more, than its retained memory."""
    return [
        Finding(
            code="AM613",
            severity="note",
            pid=None,
            summary=f"Blocking {one.name} saved {format_bytes(one.saved_bytes)}",
            evidence=f"predicted were {format_bytes(one.predicted_bytes)}; {_modules(one.saved_count)} fewer, "
            f"{one.predicted_count} predicted",
            remedy="What it was first to need (a cache, a loaded configuration) moved to the next that needs it"
            if one.saved_bytes < one.predicted_bytes
            else "Other modules did less without it, too",
        )
        for one in without
        if one.saved_bytes is not None
        and abs(one.saved_bytes - one.predicted_bytes) > max(MISSED_RATIO * one.predicted_bytes, LAZY_BYTES)
    ]


def _modules(count: int | None) -> str:
    return f"{count} module{'s' if count != 1 else ''}"


def entry_modules(cost: ImportCost) -> list[ModuleCost]:
    """Return the modules by which another distribution, or code of one's own, is entered, the most retained first.

    Those that the user asked for are none, nor what no line imports: nobody could leave them out.
    """
    known = {module.name: module for module in cost.modules}
    found = [one for one in cost.modules if one.lines and not _is_asked(one, cost) and _is_entry(one, known)]
    return sorted(found, key=lambda one: (-one.retained_bytes, one.name))


def heavy_modules(cost: ImportCost, most: int) -> list[ModuleCost]:
    """Return what a budget is spent on: entries that retain much, the heaviest first."""
    heavy = [one for one in entry_modules(cost) if one.retained_bytes >= LAZY_BYTES and one.distribution != STANDARD]
    return heavy[:most]


def _is_asked(module: ModuleCost, cost: ImportCost) -> bool:
    return any(asked == module.name or asked.startswith(module.name + ".") for asked in cost.asked)


def _is_entry(module: ModuleCost, known: dict[str, ModuleCost]) -> bool:
    above = known.get(module.name.rpartition(".")[0])
    if above is not None and _owner(above) == _owner(module):
        return False
    importers = [known[line.importer] for line in module.lines if line.importer in known]
    return not importers or any(_owner(one) != _owner(module) for one in importers)


def _owner(module: ModuleCost) -> str:
    """Return the distribution; of what is not installed, as one's own code, the first part of the name."""
    return module.distribution or f"/{module.name.partition('.')[0]}"


def _is_candidate(module: ModuleCost) -> bool:
    few = len(module.lines) <= LAZY_LINES and all(line.path for line in module.lines)
    return few and module.distribution != STANDARD


def _count(module: ModuleCost) -> str:
    count = len(module.lines)
    took = f", {format_seconds(module.seconds)}" if module.seconds >= 0.1 else ""
    return f"one line{took}" if count == 1 else f"{count} lines{took}"


def _place(line: ImportLine) -> str:
    return f"{line.path}:{line.line}"
