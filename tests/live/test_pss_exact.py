"""`airmem pss` on frozen trees, to the byte: against the kernel's own sums, psutil, a brute-force oracle, the truth.

The trees run by a private copy of the interpreter, so that airmem, which maps the same libraries while it looks, does
not change what it measures. What is left is the kernel's [vdso], which everybody maps: some bytes of PSS.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import psutil
import pytest

from airmem.analysis.sharing import attribute_sharing
from airmem.collect.source import open_source
from airmem.collect.tree import collect_tree
from tests.live.conftest import Start, ask, by_pid
from tests.live.oracle import PAGE_BYTES, TreeCount, count_tree, read_rollup
from tests.live.tree import Target, is_gone, wait_until

PSS_TOLERANCE_BYTES = 8 * 1024
ROLLUP_ROWS = {
    "Rss": "rss_bytes",
    "Private_Clean": "private_clean_bytes",
    "Private_Dirty": "private_dirty_bytes",
    "Shared_Clean": "shared_clean_bytes",
    "Shared_Dirty": "shared_dirty_bytes",
    "Pss_Anon": "pss_anon_bytes",
    "Pss_Shmem": "pss_shmem_bytes",
    "Swap": "swap_bytes",
    "SwapPss": "swap_pss_bytes",
}
SHARES = ("parent_bytes", "siblings_bytes", "outside_bytes")


@pytest.fixture(params=["disjoint", "overlapping", "thp zero", "demo gc", "demo mixed", "demo data --workers 19"])
def tree(request: pytest.FixtureRequest, start: Start, private_python: list[str], private_airmem: list[str]) -> Target:
    """A frozen tree of each kind, run by the private interpreter."""
    kind, *words = request.param.split()
    if kind == "demo":
        line = [*private_airmem, "demo", "--megabytes", "40", "--mode", *words]
        return start(command=line).freeze()
    if kind == "thp":
        return start("special_pages", kind, *words, python=private_python).freeze()
    return start("ground_truth", kind, python=private_python).order("warm").order("go").freeze()


def rows_of(answer: Any, tree: Target) -> dict[int, Any]:
    rows = by_pid(answer)
    assert list(rows) == list(tree.tree)
    assert answer["tree"]["is_lower_bound"] is False
    return rows


@pytest.mark.parametrize("depth", ["rollup", "mappings"])
def test_the_figures_are_those_of_smaps_rollup(tree: Target, depth: str) -> None:
    rows = rows_of(ask("pss", tree.pid, "--depth", depth), tree)
    for pid, row in rows.items():
        rollup = read_rollup(pid)
        for name, key in ROLLUP_ROWS.items():
            assert row[key] == rollup[name], (pid, name)
        assert abs(row["pss_bytes"] - rollup["Pss"]) <= 1024  # [vdso]: airmem maps it, too
        assert row["uss_bytes"] == rollup["Private_Clean"] + rollup["Private_Dirty"]


def test_psutil_says_the_same(tree: Target) -> None:
    for pid, row in rows_of(ask("pss", tree.pid, "--depth", "rollup"), tree).items():
        account = psutil.Process(pid).memory_full_info()
        assert (row["uss_bytes"], row["swap_bytes"]) == (account.uss, account.swap)
        assert abs(row["pss_bytes"] - account.pss) <= 1024


def test_status_knows_the_rss(tree: Target) -> None:
    for pid, row in rows_of(ask("pss", tree.pid, "--depth", "status"), tree).items():
        rows = read_rollup(pid, "status")
        assert row["rss_bytes"] == rows["VmRSS"]
        assert row["pss_bytes"] is None


@pytest.fixture
def oracle(page_frames: None, tree: Target) -> TreeCount:
    """What brute force counts on the frozen tree."""
    return count_tree(tree.tree)


def test_pages_agree_with_brute_force(tree: Target, oracle: TreeCount) -> None:
    answer = ask("pss", tree.pid, "--depth", "pages", "--exclusive")
    for pid, row in rows_of(answer, tree).items():
        count = oracle.by_pid[pid]
        assert row["depth"] == "pages"
        assert row["rss_bytes"] == count.rss_bytes
        assert row["uss_bytes"] == count.uss_bytes
        assert abs(row["pss_bytes"] - count.pss_bytes) <= PSS_TOLERANCE_BYTES
        assert row["sharing"] == {name: getattr(count, name) for name in SHARES}
    assert answer["tree"]["distinct_bytes"] == oracle.distinct_bytes
    assert answer["tree"]["exclusive_bytes"] == oracle.exclusive_bytes


def test_one_that_has_gone_takes_no_other_with_it(start: Start, private_airmem: list[str], page_frames: None) -> None:
    """Page tables of siblings are read together, by turns; here one of them ends before that."""
    target = start(command=[*private_airmem, "demo", "--megabytes", "16", "--mode", "data", "--workers", "19"])
    snapshot = collect_tree(open_source(), target.freeze().pid, "pages")
    pids = [one.process.pid for one in snapshot.processes]
    assert snapshot.page_tables is not None
    os.kill(pids[7], signal.SIGKILL)
    wait_until(lambda: is_gone(pids[7]), "its end")
    found = attribute_sharing(snapshot.page_tables, [None, *[0] * 19]).by_process
    assert [position for position, one in enumerate(found) if one is None] == [7]
    for one in found[1:]:
        sharing, account = one or (None, None)
        if sharing is not None and account is not None:
            assert sharing.parent_bytes > (4 << 20)
            parts = account.uss_bytes + sharing.parent_bytes + sharing.siblings_bytes + sharing.outside_bytes
            assert parts == account.rss_bytes


def test_the_parts_add_up(tree: Target, page_frames: None) -> None:
    answer = ask("pss", tree.pid, "--depth", "pages")
    for row in rows_of(answer, tree).values():
        assert row["uss_bytes"] + sum(row["sharing"].values()) == row["rss_bytes"]
    for total, part in (("rss_sum_bytes", "rss_bytes"), ("pss_sum_bytes", "pss_bytes"), ("uss_sum_bytes", "uss_bytes")):
        assert answer["tree"][total] == sum(row[part] for row in answer["processes"])
    assert answer["tree"]["exclusive_bytes"] is None
    assert answer["tree"]["uss_sum_bytes"] <= answer["tree"]["distinct_bytes"] <= answer["tree"]["rss_sum_bytes"]


@pytest.mark.parametrize("variant", ["disjoint", "overlapping"])
def test_rewritten_primes_are_found_to_the_page(start: Start, private_python: list[str], variant: str) -> None:
    """Between two looks each child rewrites a prime number of pages; every other figure stays."""
    target = start("ground_truth", variant, python=private_python).order("warm").order("warm")
    truth = target.truth
    expected = dict(zip(truth["children"], truth["primes"], strict=True))
    expected[truth["grandchild"]] = truth["grandchild_prime"]
    before = by_pid(ask("pss", target.freeze().pid))
    target.thaw().order("go")
    after = by_pid(ask("pss", target.freeze().pid))
    expected[target.pid] = 0 if variant == "disjoint" else min(expected.values())  # originals that only it still maps
    for pid, pages in expected.items():
        assert after[pid]["rss_bytes"] == before[pid]["rss_bytes"]
        assert after[pid]["uss_bytes"] - before[pid]["uss_bytes"] == pages * PAGE_BYTES, (pid, pages)


def test_hugetlb_is_in_no_rss(start: Start, private_python: list[str], page_frames: None, hugepages: None) -> None:
    target = start("special_pages", "hugetlb", python=private_python).freeze()
    oracle = count_tree(target.tree)
    for pid, row in by_pid(ask("pss", target.pid, "--depth", "pages")).items():
        assert row["hugetlb_bytes"] == 4 << 20
        assert row["rss_bytes"] == oracle.by_pid[pid].rss_bytes
        assert row["sharing"] == {name: getattr(oracle.by_pid[pid], name) for name in SHARES}
