"""Objects, lists and counters told from page contents, against programs that count themselves afterwards."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from airmem.collect.contents import LiveContents
from airmem.collect.source import open_source
from airmem.cpython.collector import FROZEN, TrackedLists, find_collectors, read_counters
from airmem.cpython.heads import HeadList, Heads, Links, check_lists, complete_heads
from airmem.cpython.learn import TypeLearner, learn_types
from airmem.cpython.names import TypeNames
from airmem.cpython.objects import scan_objects
from airmem.errors import NotMeasurable, ProcessGone
from airmem.kernel.maps import parse_maps_ranges
from airmem.kernel.stat import parse_stat
from airmem.units import PAGE_BYTES
from tests.live.pythons import PYTHONS

COUNT = 5000
WITHIN = 0.005


@dataclass
class Seen:
    """What was told of a process from outside."""

    learner: TypeLearner
    heads: Heads
    links: Links
    lists: TrackedLists
    live: Counter[str]
    tracked: Counter[str]


def key_of(pid):
    with open_source().process(pid) as files:
        return parse_stat(files.read("stat")).key


def anonymous_pages(pid):
    """Page numbers of a process that are present and anonymous: neither of a file nor shared (pagemap bits 61-63)."""
    with open_source().process(pid) as files:
        found = []
        for start, end, is_counted in parse_maps_ranges(files.read("maps")):
            if is_counted and end - start < 1 << 34:
                words = np.empty((end - start) // PAGE_BYTES, np.uint64)
                files.read_words("pagemap", [(start // PAGE_BYTES, len(words))], memoryview(words.view(np.uint8)))
                found.append(np.flatnonzero((words >> np.uint64(61)) == 4) + start // PAGE_BYTES)
    return np.concatenate(found)


def look(pid):
    key, pages = key_of(pid), anonymous_pages(pid)
    with LiveContents(open_source()) as contents:
        learner = learn_types(contents, key, pages)
        table, names = learner.table(), TypeNames(contents, key)
        collected = HeadList(table)
        live = np.zeros(len(table), np.int64)
        for block in contents.blocks(key, pages):
            slots, numbers = scan_objects(table, block.words)
            live += np.bincount(numbers, minlength=len(table))
            collected.add(block, slots, numbers)
        heads = collected.finish()
        links = check_lists(heads)
        whole = complete_heads(contents, key, learner, heads, links)
        links = links if whole is heads else check_lists(whole)
        tracked = np.bincount(whole.numbers[links.is_tracked] + 1, minlength=len(table) + 1)[1:]
        lists = find_collectors(contents, key, whole, links)
        named = [names.name(one) for one in table.types]
        return Seen(learner, whole, links, lists, count_by(named, live), count_by(named, tracked))


def count_by(names, counts):
    return Counter({name: int(count) for name, count in zip(names, counts, strict=True) if count})


@pytest.fixture(params=PYTHONS.values(), ids=PYTHONS.keys())
def python(request):
    return [request.param]


def test_every_tracked_type_is_counted_as_its_own_collector_does(start, python):
    target = start("objects", COUNT, python=python)
    seen = look(target.pid)
    truth = target.order("count").truth
    large = {name: count for name, count in truth["tracked"].items() if count >= 1000 and name not in UNTRACKED}
    assert len(large) > 12
    assert {
        name: (count, seen.tracked[name])
        for name, count in large.items()
        if abs(count - seen.tracked[name]) > count * WITHIN
    } == {}


UNTRACKED = ("builtins.tuple", "builtins.dict")
"""The collector lets go of those that hold nothing it tracks."""


def test_live_tuples_dicts_and_what_no_collector_knows_are_counted(start, python):
    target = start("objects", COUNT, python=python)
    seen = look(target.pid)
    assert seen.live["builtins.tuple"] >= 2 * COUNT
    assert seen.live["builtins.dict"] >= 2 * COUNT
    for name, least in (("__main__.Text", COUNT), ("builtins.float", COUNT), ("builtins.bytes", COUNT)):
        assert seen.live[name] >= least
    assert seen.live["__main__.Text"] == COUNT


def test_types_of_one_name_are_told_apart_by_module_and_hostile_names_are_themselves(start, python):
    seen = look(start("objects", COUNT, python=python).pid)
    north, south = (seen.tracked[f"{module}.models.Twin"] for module in ("north", "south"))
    assert (north, south) == (COUNT - (COUNT + 2) // 3, (COUNT + 2) // 3)
    assert seen.tracked["bad\x1b]0;owned\x07.Evil\x1b[31m\n"] == COUNT


def test_each_object_is_on_its_list(start, python):
    target = start("objects", COUNT, python=python)
    seen = look(target.pid)
    assert len(seen.lists.collectors) == 1
    assert seen.lists.unexplained_count == 0
    counts = seen.lists.collectors[0].object_counts
    truth = target.order("count").truth
    assert sum(counts) == int(seen.links.is_tracked.sum())
    assert sum(counts[:FROZEN]) == pytest.approx(sum(truth["generations"]), rel=WITHIN)
    assert counts[FROZEN] == truth["frozen_count"]  # 3.12 freezes a few itself while it starts


def test_frozen_objects_are_counted_to_the_object(start, python):
    target = start("objects", COUNT, 0, "rest", "freeze", python=python)
    seen = look(target.pid)
    frozen_count = target.order("count").truth["frozen_count"]
    assert frozen_count > 12 * COUNT
    assert seen.lists.collectors[0].frozen_count == frozen_count
    assert seen.lists.unexplained_count == 0


def test_a_childs_full_collection_shows_in_its_counter_alone(start, python):
    target = start("objects", COUNT, 1, "collect", python=python)
    seen = look(target.pid)
    (child,) = target.truth["children"]
    with LiveContents(open_source()) as contents:
        own, others = (read_counters(contents, key_of(pid), seen.lists.collectors[0]) for pid in (target.pid, child))
    assert not own.is_collecting
    assert own.collections is not None
    assert others.collections == (*own.collections[:2], own.collections[2] + 1)


def test_what_is_no_python_is_refused(start):
    target = start(command=["sh", "-c", "echo 'READY {\"pid\": '$$'}'; read line"])
    with pytest.raises(NotMeasurable, match="no type object"):
        look(target.pid)


def test_memory_that_became_another_programs_is_gone(start):
    target = start(command=["sh", "-c", "echo 'READY {\"pid\": '$$'}'; read line; exec sleep 60"])
    key, pages = key_of(target.pid), anonymous_pages(target.pid)
    with LiveContents(open_source()) as contents:
        assert len(contents.read(key, int(pages[0]) * PAGE_BYTES, 8)) == 8
        target.process.stdin.write("\n")
        target.process.stdin.flush()
        with pytest.raises(ProcessGone, match="another program"):
            read_on(contents, key, int(pages[0]) * PAGE_BYTES)


def read_on(contents, key, address):
    """Read until it fails."""
    while contents.read(key, address, 8):
        continue


def test_a_reused_pid_is_gone(start):
    pid = start("objects", 10).pid
    with LiveContents(open_source()) as contents, pytest.raises(ProcessGone):
        contents.hold((pid, key_of(pid)[1] - 1))
