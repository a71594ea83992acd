"""With whom pages are shared, on made-up page tables whose truth is written beside them."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest

from airmem.analysis.sharing import LOOKS, attribute_sharing
from airmem.model.pages import FRAME_MASK, PRESENT
from airmem.model.sharing import TreeSharing
from airmem.units import PAGE_BYTES
from tests.captures import CAPTURES
from tests.synthetic import DEVICE_FRAME, EXCLUSIVE, FILE, SOFT_DIRTY, Pages, Tables, pages, present, swapped


def divide(tree: TreeSharing) -> list[tuple[int, int, int, int] | None]:
    """Return (own, parent, siblings, outside) in pages for each process, and check that they add up to the RSS."""
    rows: list[tuple[int, int, int, int] | None] = []
    for joined in tree.by_process:
        if joined is None:
            rows.append(None)
            continue
        sharing, account = joined
        assert sharing is not None
        assert account.uss_bytes is not None
        parts = (account.uss_bytes, sharing.parent_bytes, sharing.siblings_bytes, sharing.outside_bytes)
        assert sum(parts) == account.rss_bytes
        own, parent, siblings, outside = (part // PAGE_BYTES for part in parts)
        rows.append((own, parent, siblings, outside))
    return rows


def test_a_process_alone():
    tree = attribute_sharing(Tables([pages(10, 1, 2, 3)], outsiders=Counter({3: 1})), [None])
    assert divide(tree) == [(2, 0, 0, 1)]
    assert (tree.distinct_bytes, tree.exclusive_bytes, tree.unsettled) == (3 * PAGE_BYTES, None, {})


def test_a_parent_and_its_children():
    parent = pages(10, 1, 2, 3, 4)
    tables = Tables([parent, pages(10, 1, 2, 3, 9), pages(10, 1, 8, 7)], outsiders=Counter({1: 1, 7: 2}))
    tree = attribute_sharing(tables, [None, 0, 0], with_exclusive=True)
    assert divide(tree) == [(1, 0, 3, 0), (1, 3, 0, 0), (1, 1, 0, 1)]
    assert tree.distinct_bytes == 7 * PAGE_BYTES
    assert tree.exclusive_bytes == 5 * PAGE_BYTES


def test_an_empty_process():
    assert divide(attribute_sharing(Tables([{}, {}]), [None, 0])) == [(0, 0, 0, 0), (0, 0, 0, 0)]


def test_a_grandchild_counts_its_own_parent_first():
    tables = Tables([pages(10, 1, 2, 3), pages(10, 1, 2, 0), pages(10, 1, 0, 3)])
    assert divide(attribute_sharing(tables, [None, 0, 1])) == [(0, 0, 3, 0), (0, 2, 0, 0), (0, 1, 1, 0)]


def test_siblings_share_what_their_parent_has_dropped():
    tables = Tables([pages(10, 1, 99), pages(10, 1, 2), pages(10, 1, 2)])
    assert divide(attribute_sharing(tables, [None, 0, 0])) == [(1, 0, 1, 0), (0, 1, 1, 0), (0, 1, 1, 0)]


def test_cousins_share_what_neither_parent_has():
    root, uncle, aunt = pages(0, 1), pages(0, 1, 5), pages(0, 1, 6)
    tables = Tables([root, uncle, aunt, pages(0, 1, 7), pages(0, 1, 7)])
    rows = divide(attribute_sharing(tables, [None, 0, 0, 1, 2]))
    assert rows[3:] == [(0, 1, 1, 0), (0, 1, 1, 0)]


def test_the_same_file_at_another_address_is_the_parents_too():
    tables = Tables([pages(100, 1, 2, 3), pages(9000, 1, 2, 3)])
    assert divide(attribute_sharing(tables, [None, 0])) == [(0, 0, 3, 0), (0, 3, 0, 0)]


def test_a_page_shared_with_a_child_that_moved_it_and_one_that_did_not():
    tables = Tables([pages(10, 1), pages(500, 1), pages(10, 1)])
    assert divide(attribute_sharing(tables, [None, 0, 0])) == [(0, 0, 1, 0), (0, 1, 0, 0), (0, 1, 0, 0)]


def test_a_page_mapped_twice_counts_twice_as_in_rss():
    tables = Tables([pages(10, 1, 1, 2)])
    tree = attribute_sharing(tables, [None], with_exclusive=True)
    assert divide(tree) == [(1, 0, 0, 2)]  # the kernel calls such a page shared, though with nobody else
    assert (tree.distinct_bytes, tree.exclusive_bytes) == (2 * PAGE_BYTES, 2 * PAGE_BYTES)


def test_a_page_mapped_twice_and_also_by_a_child():
    tables = Tables([pages(10, 1, 1), pages(10, 1, 1)])
    assert divide(attribute_sharing(tables, [None, 0])) == [(0, 0, 2, 0), (0, 2, 0, 0)]


def test_a_page_mapped_twice_of_which_a_child_kept_one_mapping():
    tables = Tables([pages(10, 1, 1), pages(11, 1)])
    assert divide(attribute_sharing(tables, [None, 0])) == [(0, 0, 2, 0), (0, 1, 0, 0)]


def test_zero_pages_are_nobodys():
    parent = {**pages(10, 1, 2), 20: present(1000), 21: present(2048), 22: present(2559)}
    tree = attribute_sharing(Tables([parent, dict(parent)]), [None, 0], with_exclusive=True)
    assert divide(tree) == [(0, 0, 2, 0), (0, 2, 0, 0)]
    assert tree.distinct_bytes == 2 * PAGE_BYTES
    assert tree.unsettled == {}


def test_the_frames_beside_the_zero_pages_are_ordinary():
    parent = {10: present(999), 11: present(1001), 12: present(2047), 13: present(2560)}
    assert divide(attribute_sharing(Tables([parent]), [None])) == [(4, 0, 0, 0)]


def test_devices_and_swap_are_not_resident():
    parent = {**pages(10, 1), 11: present(DEVICE_FRAME), 12: present(DEVICE_FRAME + 5), 13: swapped(7)}
    tables = Tables([parent, dict(parent), {13: swapped(8)}])
    tree = attribute_sharing(tables, [None, 0, 0])
    assert divide(tree) == [(0, 0, 1, 0), (0, 1, 0, 0), (0, 0, 0, 0)]
    assert tree.unsettled == {}


def test_other_bits_of_a_word_do_not_part_a_page():
    parent = {10: present(1, SOFT_DIRTY), 11: present(2, FILE), 12: present(3, EXCLUSIVE)}
    child = {10: present(1), 11: present(2, FILE | SOFT_DIRTY), 12: present(4, EXCLUSIVE)}
    assert divide(attribute_sharing(Tables([parent, child]), [None, 0])) == [(1, 0, 2, 0), (1, 2, 0, 0)]


def test_a_child_is_read_like_its_parent_and_completed_where_it_has_more():
    tables = Tables([pages(10, 1, 2), pages(10, 1, 2), {**pages(10, 1, 2), **pages(9000, 7, 8)}])
    assert divide(attribute_sharing(tables, [None, 0, 0])) == [(0, 0, 2, 0), (0, 2, 0, 0), (2, 2, 0, 0)]
    assert tables.reads == [(0, "own"), (1, "like"), (2, "like"), (2, "more")]


def test_runs_that_differ_are_compared_where_they_overlap():
    parent = {**pages(10, 1, 2, 3), **pages(50, 4, 5), **pages(90, 6)}
    child = {**pages(11, 2, 3, 8), **pages(48, 9, 0, 4), **pages(91, 7), **pages(8, 10)}
    tables = Tables([parent, child, pages(12, 3)], largest_gap=0)
    assert divide(attribute_sharing(tables, [None, 0, 1])) == [(3, 0, 3, 0), (4, 3, 0, 0), (0, 1, 0, 0)]


def test_a_process_that_changed_is_read_again_until_it_agrees():
    settled = pages(10, 1, 2, 3)
    tables = Tables([[pages(10, 1), pages(10, 1, 2), settled], pages(10, 1)])
    tree = attribute_sharing(tables, [None, 0])
    assert tree.unsettled == {}
    assert divide(tree) == [(2, 0, 1, 0), (0, 1, 0, 0)]
    assert [one for one in tables.reads if one[0] == 0] == [(0, "own")] * 3


def test_one_that_never_agrees_says_by_how_much_and_is_not_read_for_ever():
    class Restless(Tables):
        def account(self, position):
            from dataclasses import replace

            account = super().account(position)
            return replace(account, rss_bytes=account.rss_bytes + 2 * PAGE_BYTES) if position == 0 else account

    tables = Restless([pages(10, 1, 2), pages(10, 1)])
    tree = attribute_sharing(tables, [None, 0])
    assert tree.unsettled == {0: -2 * PAGE_BYTES}
    assert tables.reads.count((0, "own")) == LOOKS + 1
    assert divide(tree)[1] == (0, 1, 0, 0)


def test_below_an_unreadable_process_nothing_is_guessed():
    tables = Tables([pages(10, 1, 2), None, pages(10, 1), pages(10, 2)])
    tree = attribute_sharing(tables, [None, 0, 0, 1])
    assert divide(tree) == [(0, 0, 1, 1), None, (0, 1, 0, 0), None]
    assert tree.distinct_bytes == 2 * PAGE_BYTES


def test_an_unreadable_root_leaves_all_unknown():
    tree = attribute_sharing(Tables([None, pages(1, 1)]), [None, 0], with_exclusive=True)
    assert tree.by_process == (None, None)
    assert (tree.distinct_bytes, tree.exclusive_bytes) == (None, None)


def test_an_orphan_has_no_parent_to_share_with():
    tables = Tables([pages(10, 1), pages(10, 1, 2)])
    assert divide(attribute_sharing(tables, [None, None])) == [(0, 0, 1, 0), (1, 0, 1, 0)]


def test_without_counts_of_mappings_nothing_is_called_exclusive():
    tables = Tables([pages(10, 1)], counts=False)
    assert attribute_sharing(tables, [None], with_exclusive=True).exclusive_bytes is None


def test_frames_far_apart_and_many():
    frames = [1 << 32, (1 << 33) - 1, 1 << 20, 513, 512, 511]
    tables = Tables([pages(0, *frames), pages(0, *frames[:3])])
    tree = attribute_sharing(tables, [None, 0], with_exclusive=True)
    assert divide(tree) == [(3, 0, 3, 0), (0, 3, 0, 0)]
    assert tree.exclusive_bytes == tree.distinct_bytes == 6 * PAGE_BYTES


@pytest.fixture(scope="module")
def captured() -> tuple[list[Pages], Counter[int]]:
    """The anonymous pages of a real parent and its four workers, and how often the kernel says each is mapped."""
    tables: list[Pages] = []
    mappings: Counter[int] = Counter()
    for name in ("parent", "idle", "reader", "gc", "alloc"):
        table: Pages = {}
        with gzip.open(CAPTURES / "forked-tree" / f"{name}.pagemap.json.gz") as file:
            for mapping in json.load(file):
                first = mapping["start"] // 4096
                for offset, (word, count) in enumerate(zip(mapping["entries"], mapping["mapcount"], strict=True)):
                    table[first + offset] = word
                    if word & PRESENT:
                        mappings[word & FRAME_MASK] = count
        tables.append(table)
    return tables, mappings


def test_a_real_tree_agrees_with_the_kernels_own_counts_of_mappings(captured):
    processes, mappings = captured
    inside = Counter(word & FRAME_MASK for table in processes for word in table.values() if word & PRESENT)
    outsiders = mappings - inside
    assert not inside - mappings
    tables = Tables([*processes], outsiders=outsiders, zero_frames=())
    assert tables.mappings == mappings
    tree = attribute_sharing(tables, [None, 0, 0, 0, 0], with_exclusive=True)
    assert tree.unsettled == {}
    assert tree.distinct_bytes == len(mappings) * PAGE_BYTES
    assert tree.exclusive_bytes == sum(mappings[frame] == inside[frame] for frame in mappings) * PAGE_BYTES
    parent, idle, reader, collected, alloc = divide(tree)
    sets = [{word & FRAME_MASK for word in table.values() if word & PRESENT} for table in processes]
    for row, frames in zip((idle, reader, collected, alloc), sets[1:], strict=True):
        assert row is not None
        assert row[1] == len(frames & sets[0])
        assert row[2] == len((frames - sets[0]) & set().union(*(other for other in sets[1:] if other is not frames)))
        assert row[3] == 0
    assert parent is not None
    assert parent[2] == len(sets[0] & set().union(*sets[1:]))


@pytest.mark.parametrize("tells_alone", [False, True])
def test_its_own_copies_are_counted_with_and_without_bit_56(captured, tells_alone):
    processes, mappings = captured
    bare = [{page: word & ~EXCLUSIVE for page, word in table.items()} for table in processes]
    tables = Tables([*bare], zero_frames=(), tells_alone=tells_alone)
    tables.mappings = mappings
    tree = attribute_sharing(tables, [None, 0, 0, 0, 0])
    truth = attribute_sharing(Tables([*processes], zero_frames=()), [None, 0, 0, 0, 0], True)
    assert (tree.unsettled, tree.distinct_bytes) == ({}, truth.distinct_bytes)
    assert [(one[0].parent_bytes, one[0].siblings_bytes) for one in tree.by_process] == [
        (one[0].parent_bytes, one[0].siblings_bytes) for one in truth.by_process
    ]


def test_a_bit_56_that_holds_for_a_huge_pages_first_page_alone_is_not_believed():
    parent = {page: present(page + 1, EXCLUSIVE) for page in range(8)}  # two of its eight pages a child has, too
    child = {0: present(1), 1: present(2), 2: present(50, EXCLUSIVE)}
    tree = attribute_sharing(Tables([parent, child]), [None, 0])
    assert divide(tree) == [(6, 0, 2, 0), (1, 2, 0, 0)]
    assert tree.distinct_bytes == 9 * PAGE_BYTES


def test_huge_pages_whose_bit_56_errs_as_often_one_way_as_the_other_are_not_believed():
    first, second = range(1024, 1536), range(2048, 2560)
    parent = {page: present(page, EXCLUSIVE) for page in first} | {page: present(page) for page in second}
    child = {page: present(9000 + page) for page in first if page not in (1030, 1031)}
    child |= {page: present(page) for page in (1030, 1031)} | {page: present(page) for page in second}
    child |= {page: present(20000 + page) for page in (2100, 2101)}
    tree = attribute_sharing(Tables([parent, child], zero_frames=()), [None, 0])
    assert divide(tree) == [(512, 0, 512, 0), (512, 512, 0, 0)]
    assert tree.distinct_bytes == 1536 * PAGE_BYTES


def test_anonymous_pages_shared_with_nobody_found_are_looked_for_again():
    anonymous, of_a_file = pages(10, 1, 2), {12: present(3, FILE)}
    tables = Tables([pages(10, 1), {**anonymous, **of_a_file}], outsiders=Counter({2: 1, 3: 1}))
    tree = attribute_sharing(tables, [None, 0])
    assert tree.stray_bytes == PAGE_BYTES
    assert tables.reads.count((0, "own")) == LOOKS
    assert divide(tree)[1] == (0, 1, 0, 2)


def test_nothing_strays_in_a_tree_that_shares_with_itself():
    tables = Tables([pages(10, 1, 2), pages(10, 1, 2), pages(10, 1), pages(10, 0, 2)])
    assert attribute_sharing(tables, [None, 0, 0, 1]).stray_bytes == 0
    assert tables.reads.count((0, "own")) == 1
