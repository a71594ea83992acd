"""Conservation: however a tree's page tables look, every counted page is somebody's exactly once."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from airmem.analysis.sharing import attribute_sharing
from airmem.codec.document import fields_of
from airmem.units import PAGE_BYTES
from tests.synthetic import DEVICE_FRAME, FILE, SOFT_DIRTY, Pages, Tables, counted_frames, present, swapped

FRAMES = st.one_of(
    st.integers(1, 24),
    st.sampled_from([511, 512, 513, 999, 1000, 1001, 2048, 2559, 2560, DEVICE_FRAME, DEVICE_FRAME + 1]),
)
WORDS = st.one_of(
    st.builds(present, FRAMES, st.sampled_from([0, 0, 0, SOFT_DIRTY, FILE])),
    st.builds(present, FRAMES),
    st.builds(swapped, st.integers(0, 5)),
    st.just(0),
)
PAGES = st.dictionaries(st.integers(0, 40), WORDS, max_size=25)


@st.composite
def trees(draw: st.DrawFn) -> tuple[Tables, list[int | None]]:
    """Draw a tree: children begin with their parent's pages, drop some, map others, and some are unreadable."""
    count = draw(st.integers(1, 7))
    parents: list[int | None] = [None, *sorted(draw(st.integers(0, position - 1)) for position in range(1, count))]
    processes: list[Pages] = []
    for parent in parents:
        inherited = {} if parent is None or draw(st.integers(0, 5)) == 0 else processes[parent]
        dropped = draw(st.sets(st.integers(0, 40), max_size=10))
        kept = {page: word for page, word in inherited.items() if page not in dropped}
        moved = {page + 60: word for page, word in kept.items()} if draw(st.integers(0, 6)) == 0 else {}
        processes.append({**kept, **moved, **draw(PAGES)})
    outsiders = Counter(draw(st.dictionaries(FRAMES, st.integers(1, 3), max_size=8)))
    hidden = draw(st.sets(st.integers(0, count - 1), max_size=1)) if draw(st.booleans()) else set()
    shown: list[Pages | list[Pages] | None] = []
    for position, table in enumerate(processes):
        if position in hidden or (parents[position] is not None and shown[parents[position] or 0] is None):
            shown.append(None)
            outsiders.update(counted_frames(table))  # whom nobody can read is an outsider to the others
        else:
            shown.append(table)
    gap = draw(st.integers(0, 5))
    return Tables(shown, outsiders=outsiders, largest_gap=gap, tells_alone=draw(st.booleans())), parents


@settings(max_examples=120, deadline=None)
@given(trees())
def test_the_parts_are_those_that_sets_of_frames_give(tree):
    tables, parents = tree
    answer = attribute_sharing(tables, parents, with_exclusive=True)
    assert answer.unsettled == {}
    frames = [counted_frames(tables.final(position)) for position in range(len(parents))]
    for position, (joined, parent) in enumerate(zip(answer.by_process, parents, strict=True)):
        if tables.processes[position] is None:
            assert joined is None
            continue
        assert joined is not None
        sharing, account = joined
        assert sharing is not None
        elder = set() if parent is None else set(frames[parent])
        others = {frame for other, own in enumerate(frames) if other not in (position, parent) for frame in own}
        by_parent = sum(frame in elder for frame in frames[position])
        by_siblings = sum(frame in others and frame not in elder for frame in frames[position])
        private = sum(tables.mappings[frame] == 1 for frame in frames[position])
        assert sharing.parent_bytes == by_parent * PAGE_BYTES
        assert sharing.siblings_bytes == by_siblings * PAGE_BYTES
        assert account.uss_bytes == private * PAGE_BYTES
        parts = (sharing.parent_bytes, sharing.siblings_bytes, sharing.outside_bytes, account.uss_bytes)
        assert sum(parts) == account.rss_bytes == len(frames[position]) * PAGE_BYTES
        assert min(parts) >= 0


@settings(max_examples=120, deadline=None)
@given(trees())
def test_a_tree_is_the_union_of_its_pages(tree):
    tables, parents = tree
    answer = attribute_sharing(tables, parents, with_exclusive=True)
    if not any(answer.by_process):
        assert (answer.distinct_bytes, answer.exclusive_bytes) == (None, None)  # no page table could be read
        return
    inside = Counter(frame for position in range(len(parents)) for frame in counted_frames(tables.final(position)))
    assert answer.distinct_bytes == len(inside) * PAGE_BYTES
    exclusive = sum(tables.mappings[frame] == count for frame, count in inside.items())
    assert answer.exclusive_bytes == exclusive * PAGE_BYTES


def parts(answer):
    """Return with whom each process shares; None where that is unknown."""
    return [None if joined is None else (joined[0], fields_of(joined[1])) for joined in answer.by_process]


@settings(max_examples=60, deadline=None)
@given(trees())
def test_asking_for_exclusive_pages_changes_nothing_else(tree):
    tables, parents = tree
    with_it, without = (attribute_sharing(tables, parents, with_exclusive=flag) for flag in (True, False))
    assert parts(with_it) == parts(without)
    assert with_it.distinct_bytes == without.distinct_bytes
    assert without.exclusive_bytes is None


@settings(max_examples=60, deadline=None)
@given(trees(), st.integers(0, 3))
def test_neither_how_words_are_cut_into_runs_nor_bit_56_matters(tree, gap):
    tables, parents = tree
    other = Tables(tables.processes, outsiders=tables.outsiders, largest_gap=gap, tells_alone=not tables.tells_alone)
    assert parts(attribute_sharing(tables, parents)) == parts(attribute_sharing(other, parents))
