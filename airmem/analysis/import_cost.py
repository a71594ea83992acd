"""What each module costs: own, inclusive, and retained: what nobody needs any more if nobody imports it."""

from __future__ import annotations

from airmem.analysis.import_graph import ROOT, ImportGraph
from airmem.model.import_cost import (
    CostChange,
    DistributionCost,
    Explanation,
    ImportCost,
    ImportLine,
    ImportTotals,
    ModuleCost,
)
from airmem.model.noun import replace
from airmem.units import MIB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from airmem.model.import_cost import ImportRecord, ModuleLoad, TracedImports

DETAILED_BYTES = MIB // 4
"""Of modules that retain at least this, every line from outside that pulls them in is told."""

EXACT_BYTES = MIB // 16
"""Packages whose modules together dominate less than this are not removed one by one, but bounded from below."""

MOST_STEPS = 4_000_000
"""How many edges may be walked to remove packages one by one: about a quarter of a second. The graph of Airflow's
scheduler has 11,000 edges and 234 packages. What is beyond is bounded from below, the heaviest first."""

MOST_SITES = 500
"""Lines of an explanation that are told. libcst has 3,900; the first 500 hold 86 % of it, the 500th 2 kB."""

Retained: TypeAlias = "tuple[int, int]"
"""Bytes and modules that go with a module."""


def attribute_imports(record: ImportRecord, worker_count: int | None = None) -> ImportCost:
    """Return what the modules of a record cost, in the order in which they ended, and the sums."""
    loads = _merge(record.loads)
    graph = ImportGraph(record)
    own = [0, *(loads[name].own_bytes for name in graph.names[1:])]
    retained = retain(graph, own)
    lines = _lines_from_outside(record, graph, retained)
    modules = tuple(_cost(load, record, retained, lines) for load in loads.values())
    return ImportCost(
        python_version=record.python_version,
        executable=record.executable,
        asked=record.asked,
        totals=_total(record, modules, worker_count),
        modules=modules,
        distributions=_by_distribution(modules),
    )


def retain(graph: ImportGraph, own: list[int]) -> dict[str, Retained]:
    """Return what goes with each module: bytes and how many modules.

    A module alone takes what it dominates. A package goes with all below it, since whoever imports `a.b` imports `a`:
    it is removed as one, and what the program cannot reach without it goes.
    """
    alone = _dominated(graph, own)
    retained = {name: alone[node] for node, name in enumerate(graph.names) if node != ROOT}
    families = graph.families
    bound = {name: sum(alone[node][0] for node in family) for name, family in families.items()}
    steps = sum(map(len, graph.edges)) + len(graph.names)
    heaviest = sorted(families, key=lambda name: -bound[name])[: max(50, MOST_STEPS // steps)]
    exact = {name for name in heaviest if bound[name] >= EXACT_BYTES}
    for name, family in families.items():
        if name in exact:
            gone = graph.gone_with(name)
            retained[name] = (sum(own[node] for node in gone), len(gone))
        else:
            least = (sum(own[node] for node in family), len(family))
            retained[name] = max(least, *(alone[node] for node in family))
    return retained


def diff_distributions(before: ImportCost, after: ImportCost) -> tuple[CostChange, ...]:
    """Return each distribution of two measures side by side, the largest difference first."""
    old = {one.distribution: one for one in before.distributions}
    new = {one.distribution: one for one in after.distributions}
    changes = [_change(name, old.get(name), new.get(name)) for name in dict.fromkeys((*old, *new))]
    return tuple(sorted(changes, key=lambda one: -abs((one.after_bytes or 0) - (one.before_bytes or 0))))


def explain_module(name: str, record: ImportRecord, traced: TracedImports) -> Explanation:
    """Return what memray saw of a module and of all below it; inclusive adds what they were the first to import."""
    below = name + "."
    family = {load.name for load in record.loads if load.name == name or load.name.startswith(below)}
    inside = set(family)
    for load in reversed(record.loads):  # they are in the order of their ends, so whoever imports comes first here
        if load.parent in inside:
            inside.add(load.name)
    return Explanation(
        name=name,
        own_bytes=sum(traced.own.get(one, 0) for one in family),
        inclusive_bytes=sum(traced.own.get(one, 0) for one in inside),
        total_bytes=traced.total_bytes,
        hidden_count=len(inside.intersection(traced.hidden)),
        sites=tuple(sorted(traced.sites, key=lambda one: -one.size_bytes)[:MOST_SITES]),
        memray_version=traced.memray_version,
    )


def relocate_record(record: ImportRecord, before: str, after: str) -> ImportRecord:
    """Return a record with another beginning for the paths of one folder: what was a copy is told as what it shows."""

    def move(path: str) -> str:
        return after + path[len(before) :] if path.startswith(before) else path

    loads = tuple(
        replace(load, origin=move(load.origin), importer_path=move(load.importer_path)) for load in record.loads
    )
    needs = tuple((importer, name, names, move(path), line) for importer, name, names, path, line in record.needs)
    return replace(record, loads=loads, needs=needs)


def _change(name: str, before: DistributionCost | None, after: DistributionCost | None) -> CostChange:
    return CostChange(
        distribution=name,
        before_version=None if before is None else before.version,
        after_version=None if after is None else after.version,
        before_bytes=None if before is None else before.own_bytes,
        after_bytes=None if after is None else after.own_bytes,
        before_count=0 if before is None else before.module_count,
        after_count=0 if after is None else after.module_count,
    )


def _merge(loads: tuple[ModuleLoad, ...]) -> dict[str, ModuleLoad]:
    """Return the loads by name; what was loaded twice (removed from sys.modules meanwhile) is summed up."""
    merged: dict[str, ModuleLoad] = {}
    for load in loads:
        merged[load.name] = load if load.name not in merged else _sum(merged[load.name], load)
    return merged


def _sum(first: ModuleLoad, again: ModuleLoad) -> ModuleLoad:
    names = ("own_bytes", "inclusive_bytes", "own_file_bytes", "own_seconds", "inclusive_seconds")
    sums = {name: getattr(first, name) + getattr(again, name) for name in names}
    return replace(first, **sums, in_thread=first.in_thread and again.in_thread)


def _dominated(graph: ImportGraph, own: list[int]) -> list[Retained]:
    """Return bytes and count of what each node dominates, itself included."""
    parents = graph.dominators()
    children: list[list[int]] = [[] for _ in parents]
    for node, parent in enumerate(parents):
        if node != ROOT:
            children[parent].append(node)
    order = [ROOT]
    for node in order:
        order.extend(children[node])
    size_bytes, counts = list(own), [1] * len(own)
    for node in reversed(order[1:]):
        size_bytes[parents[node]] += size_bytes[node]
        counts[parents[node]] += counts[node]
    return list(zip(size_bytes, counts, strict=True))


def _lines_from_outside(
    record: ImportRecord, graph: ImportGraph, retained: dict[str, Retained]
) -> dict[str, tuple[ImportLine, ...]]:
    """Return, for what retains much, the lines that pull it in from modules that would stay."""
    heavy = {graph.nodes[name] for name, (size_bytes, _) in retained.items() if size_bytes >= DETAILED_BYTES}
    found: dict[str, dict[tuple[str, int], str]] = {graph.names[node]: {} for node in heavy}
    for need in record.needs:
        targets = graph.targets(need)
        if heavy.isdisjoint(targets):
            continue
        importer, _, _, path, line = need
        for node in targets & heavy:
            name = graph.names[node]
            if importer != name and not importer.startswith(name + "."):
                found[name].setdefault((path, line), importer)
    return {name: _outside(graph, name, lines) for name, lines in found.items()}


def _outside(graph: ImportGraph, name: str, lines: dict[tuple[str, int], str]) -> tuple[ImportLine, ...]:
    """Return the lines, with who imports there, but not those of modules that would go with it."""
    gone = graph.gone_with(name) if len(lines) > 1 else set()
    return tuple(
        ImportLine(importer=importer, path=path, line=line)
        for (path, line), importer in lines.items()
        if graph.nodes.get(importer, ROOT) not in gone
    )


def _cost(
    load: ModuleLoad, record: ImportRecord, retained: dict[str, Retained], lines: dict[str, tuple[ImportLine, ...]]
) -> ModuleCost:
    distribution, version = record.distributions.get(load.name, ("", ""))
    retained_bytes, retained_count = retained[load.name]
    return ModuleCost(
        name=load.name,
        distribution=distribution,
        version=version,
        origin=load.origin,
        own_bytes=load.own_bytes,
        inclusive_bytes=load.inclusive_bytes,
        retained_bytes=retained_bytes,
        retained_count=retained_count,
        own_file_bytes=load.own_file_bytes,
        own_seconds=load.own_seconds,
        seconds=load.inclusive_seconds,
        importer=load.parent,
        importer_path=load.importer_path,
        line=load.line,
        lines=lines.get(load.name, ()),
        in_thread=load.in_thread,
    )


def _total(record: ImportRecord, modules: tuple[ModuleCost, ...], worker_count: int | None) -> ImportTotals:
    own_sum_bytes = sum(one.own_bytes for one in modules)
    return ImportTotals(
        module_count=len(modules),
        base_bytes=record.base_bytes,
        growth_bytes=record.growth_bytes,
        growth_file_bytes=record.growth_file_bytes,
        own_sum_bytes=own_sum_bytes,
        machinery_bytes=record.growth_bytes - own_sum_bytes,
        walked_growth_bytes=record.walked_growth_bytes,
        seconds=record.seconds,
        worker_count=worker_count,
        copied_bytes=None if worker_count is None else record.growth_bytes * (worker_count + 1),
    )


def _by_distribution(modules: Iterable[ModuleCost]) -> tuple[DistributionCost, ...]:
    groups: dict[tuple[str, str], list[ModuleCost]] = {}
    for module in modules:
        groups.setdefault((module.distribution, module.version), []).append(module)
    costs = [
        DistributionCost(
            distribution=name,
            version=version,
            module_count=len(group),
            own_bytes=sum(one.own_bytes for one in group),
            own_file_bytes=sum(one.own_file_bytes for one in group),
            own_seconds=sum(one.own_seconds for one in group),
        )
        for (name, version), group in groups.items()
    ]
    return tuple(sorted(costs, key=lambda one: -one.own_bytes))
