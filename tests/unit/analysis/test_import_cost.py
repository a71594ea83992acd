"""Own, inclusive and retained on graphs that are small enough to check by hand, and against plain reachability."""

from __future__ import annotations

import random

import pytest

from airmem.analysis.import_cost import attribute_imports, diff_distributions, explain_module, relocate_record, retain
from airmem.analysis.import_graph import ROOT, ImportGraph
from airmem.model.import_cost import ImportRecord, ModuleLoad, TracedImports


def load(name: str, parent: str = "", own: int = 1, inclusive: int | None = None) -> ModuleLoad:
    return ModuleLoad(
        name=name,
        origin=f"/lib/{name}.py",
        parent=parent,
        importer_path="/copy/app.py",
        line=1,
        own_bytes=own,
        inclusive_bytes=own if inclusive is None else inclusive,
        own_file_bytes=0,
        own_seconds=0.0,
        inclusive_seconds=0.0,
        in_thread=False,
    )


def record(loads: list[ModuleLoad], needs: list[tuple[str, str, tuple[str, ...], str, int]]) -> ImportRecord:
    return ImportRecord(
        python_version="3.11.7",
        executable="python",
        prefix="/usr",
        asked=("app",),
        loads=tuple(loads),
        needs=tuple(needs),
        base_bytes=0,
        growth_bytes=sum(one.own_bytes for one in loads) + 5,
        growth_file_bytes=0,
        walked_growth_bytes=None,
        seconds=1.0,
        distributions={"lib": ("lib", "1"), "lib.a": ("lib", "1")},
        without_bytecode_count=0,
        failure=None,
        open_names=(),
        is_complete=True,
    )


def need(importer: str, name: str, *names: str, line: int = 1) -> tuple[str, str, tuple[str, ...], str, int]:
    return importer, name, names, "/copy/app.py", line


MIB = 1 << 20


def test_a_package_goes_with_all_below_it_though_nobody_imports_its_top_alone():
    loads = [
        load("lib", "app"),
        load("lib.a", "app", 10 * MIB),
        load("lib.b", "other", 20 * MIB),
        load("other", "app"),
        load("app"),
    ]
    needs = [need("", "app"), need("app", "lib.a"), need("app", "other"), need("other", "lib", "b", line=2)]
    modules = {one.name: one for one in attribute_imports(record(loads, needs)).modules}
    assert modules["lib"].retained_bytes == 30 * MIB + 1
    assert modules["lib"].retained_count == 3
    assert modules["lib.b"].retained_bytes == 20 * MIB
    assert modules["other"].retained_bytes == 20 * MIB + 1
    assert {line.importer for line in modules["lib"].lines} == {"app", "other"}


def test_a_cycle_goes_as_a_whole():
    loads = [load("y", "x", MIB), load("x", "app", MIB), load("app")]
    needs = [need("", "app"), need("app", "x"), need("x", "y"), need("y", "x"), need("y", "app")]
    modules = {one.name: one for one in attribute_imports(record(loads, needs)).modules}
    assert modules["x"].retained_bytes == 2 * MIB
    assert modules["y"].retained_bytes == MIB
    assert modules["x"].retained_count == 2


def test_what_is_loaded_twice_is_summed():
    loads = [load("a", "app", 3), load("a", "app", 4), load("app")]
    cost = attribute_imports(record(loads, [need("", "app"), need("app", "a")]))
    assert {one.name: one.own_bytes for one in cost.modules} == {"a": 7, "app": 1}
    assert cost.totals.own_sum_bytes + cost.totals.machinery_bytes == cost.totals.growth_bytes


def test_copies_cost_each_worker_and_the_parent():
    totals = attribute_imports(record([load("app", own=95)], [need("", "app")]), 3).totals
    assert totals.copied_bytes == 4 * totals.growth_bytes == 400


def test_a_copy_of_a_revision_is_told_by_its_name():
    moved = relocate_record(record([load("app")], [need("", "app")]), "/copy/", "HEAD:")
    assert moved.loads[0].importer_path == "HEAD:app.py"
    assert moved.needs[0][3] == "HEAD:app.py"
    assert moved.loads[0].origin == "/lib/app.py"


def test_distributions_are_compared_the_largest_difference_first():
    before = attribute_imports(record([load("lib", own=5), load("app", own=50)], []))
    after = attribute_imports(record([load("lib", own=500), load("app", own=60)], []))
    changes = diff_distributions(before, after)
    assert [(one.distribution, one.before_bytes, one.after_bytes) for one in changes] == [("lib", 5, 500), ("", 50, 60)]


def test_an_explanation_adds_what_a_package_was_the_first_to_import():
    loads = [load("dep", "lib.a"), load("lib.a", "lib"), load("lib", "app"), load("app")]
    traced = TracedImports(
        own={"dep": 4, "lib.a": 20, "lib": 100, "app": 3},
        sites=(),
        total_bytes=127,
        hidden=("dep",),
        memray_version="1",
    )
    explained = explain_module("lib", record(loads, []), traced)
    assert (explained.own_bytes, explained.inclusive_bytes, explained.hidden_count) == (120, 124, 1)


def brute_force(graph: ImportGraph, removed: set[int]) -> set[int]:
    """Return what a plain walk does not reach."""
    seen, pending = {ROOT}, [ROOT]
    while pending:
        for target in graph.edges[pending.pop()]:
            if target not in seen and target not in removed:
                seen.add(target)
                pending.append(target)
    return set(range(len(graph.names))) - seen


@pytest.mark.parametrize("seed", range(20))
def test_retained_is_what_cannot_be_reached_without_it(seed: int):
    dice = random.Random(seed)
    below = [f"p{dice.randrange(8)}.m{number}" for number in range(25)]
    names = ["app", *(f"p{number}" for number in range(8)), *below]
    loads = [load("app", "", MIB)]
    for position, name in enumerate(names[1:], 1):  # whoever loads is loaded before: all can be reached
        loads.append(load(name, dice.choice(names[:position]), dice.randrange(1, 9) * MIB))
    needs = [need("", "app"), *(need(dice.choice(names), dice.choice(names)) for _ in range(50))]
    graph = ImportGraph(record(loads, needs))
    own = [0, *(one.own_bytes for one in loads)]
    assert brute_force(graph, set()) == set()
    found = retain(graph, own)
    for name in names:
        gone = brute_force(graph, graph.family(name))
        assert found[name] == (sum(own[one] for one in gone), len(gone)), name
