"""What a remedy is said to save, against the same tree with the remedy applied."""

from __future__ import annotations

import pytest

from airmem.questions.cow import answer_cow
from airmem.rules import cow as rules
from tests.live.conftest import Start, ask
from tests.live.cow_modes import HEAP_MB
from tests.live.oracle import read_rollup
from tests.live.pythons import PYTHONS
from tests.live.tree import Target

MIB = 1 << 20
WORKERS = 3
LEAST_RATIO, MOST_RATIO = 0.6, 1.1
"""What importing writes to inherited pages is saved besides, and is not part of the figure."""

pytestmark = pytest.mark.usefixtures("page_frames")


def anonymous_bytes(target: Target) -> int:
    """Return the anonymous memory of a whole tree, each page once."""
    return sum(read_rollup(pid)["Pss_Anon"] for pid in target.tree)


def foretold(target: Target) -> dict[str, int]:
    return {one["name"]: one["saves_bytes"] for one in ask("cow", target.pid)["remedies"]}


@pytest.mark.parametrize(
    ("method", "name"), [("fork", "import before fork"), ("spawn", "fork instead of spawn"), ("forkserver", "")]
)
def test_what_imports_before_the_fork_save(start: Start, method: str, name: str):
    late = start("late_imports", method, "after", WORKERS)
    said = foretold(late)
    before_bytes = anonymous_bytes(late)
    if method == "forkserver":  # its workers are forked, from a process that must be told what to import
        assert "import before fork" in said
        assert "fork instead of spawn" not in said
        return
    early = start("late_imports", "fork", "before", WORKERS)
    saved_bytes = before_bytes - anonymous_bytes(early)
    assert said[name] > 4 * MIB
    assert LEAST_RATIO * saved_bytes < said[name] < MOST_RATIO * saved_bytes
    assert not {"import before fork", "fork instead of spawn"} & foretold(early).keys()


IMMORTAL = "Python 3.12 or later"
REST, RECYCLE = "a parent that rests after the fork", "keep workers from being recycled"


def grown(start: Start, orders: tuple[str, ...]) -> Target:
    """Return a tree of objects after these orders."""
    target = start("cow_tree", HEAP_MB)
    for order in orders:
        target.order(order)
    return target


def test_what_a_parent_at_rest_saves(start: Start):
    busy = grown(start, ("fork", "fork", "mutate parent"))
    said = foretold(busy)
    saved_bytes = anonymous_bytes(busy) - anonymous_bytes(grown(start, ("fork", "fork")))
    assert said[REST] > 5 * MIB
    assert said[REST] == pytest.approx(saved_bytes, abs=MIB)  # a parent that forks and rests writes some pages, too
    assert RECYCLE not in said


def test_what_workers_of_one_generation_save(start: Start, monkeypatch: pytest.MonkeyPatch):
    """Three workers have three versions of what their parent writes after each fork; forked together they have one."""
    apart = grown(start, ("fork", "mutate parent") * 3)
    assert RECYCLE not in foretold(apart)
    monkeypatch.setattr(rules, "RECYCLED_SECONDS", -1)
    said = {one.name: one.saves_bytes for one in answer_cow(apart.pid).remedies}
    together = grown(start, ("fork",) * 3 + ("mutate parent",) * 3)
    assert said[RECYCLE] > 10 * MIB
    assert said[RECYCLE] == pytest.approx(anonymous_bytes(apart) - anonymous_bytes(together), rel=0.05)


@pytest.mark.parametrize(("orders", "pays"), [((), True), (("thin parent",), False)])
def test_holes_in_the_parents_pools_speak_against_collecting_first(start: Start, orders: tuple[str, ...], pays: bool):
    answer = ask("cow", grown(start, (*orders, "fork", "fork")).pid)
    (freeze,) = [one for one in answer["remedies"] if one["name"] == "gc.freeze before fork"]
    assert ("it pays here" in freeze["how"]) == pays
    assert ("better leave it" in freeze["how"]) != pays
    assert (answer["free_block_bytes"] > 4 * MIB) != pays


def file_bytes(target: Target) -> int:
    """Return what a tree's workers have written of files that they map, from smaps."""
    found = 0
    for pid in list(target.tree)[1:]:
        is_file = False
        with open(f"/proc/{pid}/smaps", encoding="utf-8") as smaps:
            for line in smaps:
                words = line.split()
                if not words[0].endswith(":"):
                    is_file = len(words) > 5 and words[5].startswith("/")
                elif is_file and words[0] == "Private_Dirty:":
                    found += int(words[1]) * 1024
    return found


@pytest.mark.parametrize("version", PYTHONS)
def test_immortal_objects_are_a_remedy_before_they_are_there(start: Start, version: str):
    target = start("late_imports", "fork", "after", 8, python=[PYTHONS[version]])
    has_them = int(version.partition(".")[2]) >= 12
    answer = ask("cow", target.pid)
    sizes = [row["static_refcount_bytes"] for row in answer["workers"]]
    assert {size is None for size in sizes} == {has_them}
    saved_bytes = sum(size or 0 for size in sizes)
    saves = [one["saves_bytes"] for one in answer["remedies"] if one["name"] == IMMORTAL]
    assert saves == [saved_bytes] * (saved_bytes >= rules.REMEDY_BYTES)


@pytest.mark.skipif(not {"3.11", "3.12"} <= PYTHONS.keys(), reason="needs Python 3.11 and 3.12, see AIRMEM_PYTHONS")
def test_what_immortal_objects_save(start: Start):
    before, after = (start("late_imports", "fork", "after", 8, python=[PYTHONS[one]]) for one in ("3.11", "3.12"))
    assert foretold(before)[IMMORTAL] == pytest.approx(file_bytes(before) - file_bytes(after), rel=0.5)
