"""The known ways in which workers write, each with what has to come out; for tests under one Python and the matrix."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.live.cow_truth import Frames, Truth, changed, heap_ranges, in_bytes, read_anonymous, read_tree, tell
from tests.live.tree import Target

MIB = 1 << 20
HEAP_MB = 48
IDLE_BYTES = 2 * MIB
"""Less than so much is what a process writes that does nothing."""

BOTH_WROTE_BYTES = 512 << 10
"""What parent and worker both write right after a fork. The first to write copies, the other one then owns the original
alone and writes to it in place: a single look afterwards sees two writers, and cannot tell who came first. Nor that
it was the worker, when the worker has forked since, and the parent has then written in place."""

FORKING_BYTES = 16 << 10
"""What the parent may write between the last look at it and the fork. Pages that are new then are inherited, too, and the
truth does not know them."""

LEAST_HUGE_RATIO = 0.5
"""Of the parent's memory in the mode with huge pages."""

CAUSES = ("gc", "refcount", "data", "unknown")
Ask = Callable[..., Any]
Start = Callable[..., Target]


@dataclass(frozen=True)
class Mode:
    """`options` of programs/cow_tree.py, the `steps` that are ordered, and what is the cause of the copies.

    `cause` is None where nothing is to be copied. `parts` names the cause of each step where there are several.
    """

    name: str
    steps: tuple[str, ...] = ()
    cause: str | None = None
    options: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    is_huge: bool = False
    needs_numpy: bool = False
    writer: str = "workers"


MODES = (
    Mode("none"),
    Mode("gc", ("collect all",), "gc"),
    Mode("refcount", ("refer all",), "refcount"),
    Mode("data-objects", ("mutate all",), "data"),
    Mode("data-buffers", ("rewrite all",), "data"),
    Mode("data-numpy", ("array all",), "data", ("numpy",), needs_numpy=True),
    Mode("freeze+gc", ("collect all",), None, ("freeze",)),
    Mode("freeze+refcount", ("refer all",), "refcount", ("freeze",)),
    Mode("parent-gc", ("collect parent",), None, writer="parent"),
    Mode("gc+data", ("collect all", "rewrite all"), None, parts=("gc", "data")),
    Mode("refcount+data", ("refer all", "rewrite all"), None, parts=("refcount", "data")),
    Mode("huge+gc", ("collect all",), "gc", is_huge=True),
    Mode("huge+data", ("rewrite all",), "data", is_huge=True),
    Mode("shared-mmap", ("shared all",), None),
    Mode("forks", ("collect all", "spawn all"), "gc"),
    Mode("grandchildren", ("spawn all", "collect grandchildren"), "gc", writer="grandchildren"),
)
BY_NAME = {mode.name: mode for mode in MODES}


@dataclass
class Look:
    """What was seen of a tree that stood still: airmem's answer, and the truth of every worker and grandchild by pid.

    `steps` has for each step the pages that every process got a fresh frame for.
    """

    target: Target
    answer: Any
    truths: dict[int, Truth]
    steps: list[dict[int, set[int]]] = field(default_factory=list)

    @property
    def rows(self) -> dict[int, Any]:
        """airmem's workers by pid."""
        return {row["pid"]: row for row in self.answer["workers"]}

    def writers(self, mode: Mode) -> list[int]:
        """Return who wrote in this mode."""
        return list(self.target.truth["grandchildren" if mode.writer == "grandchildren" else "workers"])


@contextlib.contextmanager
def standing_still(target: Target) -> Iterator[dict[int, Frames]]:
    """Stop a tree and hand out everybody's anonymous pages."""
    target.freeze()
    try:
        yield read_tree(target)
    finally:
        target.thaw()


class Trial:
    """One target in one mode, step by step."""

    def __init__(self, target: Target, mode: Mode, workers: int) -> None:
        self.target = target
        self.mode = mode
        if mode.is_huge:
            target.order("huge " + " ".join(heap_ranges(target.pid)))
        self.originals: dict[int, Frames] = {}
        for _ in range(workers):
            target.order("warm")
            before = read_anonymous(target.pid)
            target.order("fork")
            self.originals[target.truth["workers"][-1]] = before
        self.frames = read_tree(target)
        self.steps: list[dict[int, set[int]]] = []

    def step(self, order: str) -> dict[int, set[int]]:
        """Have a step carried out; return the pages that each process got a fresh frame for."""
        self.target.order(order)
        before, after = self.frames, read_tree(self.target)
        self.frames = after
        if order.startswith("spawn"):
            self.originals.update({child: before[self._parent(child)] for child in after if child not in before})
        self.steps.append({pid: changed(before.get(pid, {}), frames) for pid, frames in after.items()})
        return self.steps[-1]

    def look(self, ask: Ask, *arguments: object, **more: Any) -> Look:
        """Ask airmem about the tree while it stands still, and work out the truth."""
        with standing_still(self.target) as frames:
            answer = ask("cow", self.target.pid, *arguments, **more)
        truths = {
            pid: tell(self.originals[pid], frames[self._parent(pid)], frames[pid])
            for pid in frames
            if pid != self.target.pid
        }
        return Look(self.target, answer, truths, self.steps)

    def _parent(self, pid: int) -> int:
        return self.target.tree[pid] or pid


def run_mode(start: Start, ask: Ask, mode: Mode, workers: int, heap_mb: int = HEAP_MB) -> Look:
    """Bring a tree up, have every step carried out, and look."""
    trial = Trial(start("cow_tree", heap_mb, *mode.options), mode, workers)
    for step in mode.steps:
        trial.step(step)
    return trial.look(ask)


def cause_ratio(row: Any, cause: str) -> float:
    """Return the share of the copied bytes that has this cause."""
    return float(row["causes"][f"{cause}_bytes"] / row["copied_bytes"]) if row["copied_bytes"] else 0.0


def differences(look: Look) -> list[str]:
    """Return where an answer contradicts the page frames, or itself."""
    wrong = []
    for pid, truth in look.truths.items():
        row = look.rows.get(pid)
        if row is None:
            wrong.append(f"{pid} is missing")
            continue
        if not 0 <= row["shared_bytes"] - in_bytes(truth.shared) <= FORKING_BYTES:
            wrong.append(f"{pid}: shared are {row['shared_bytes']}, true are {in_bytes(truth.shared)}")
        diverged_bytes = row["copied_bytes"] + row["copied_by_parent_bytes"]
        if not 0 <= diverged_bytes - in_bytes(truth.copied | truth.copied_by_parent) <= FORKING_BYTES:
            wrong.append(
                f"{pid}: {diverged_bytes} diverged, true are {in_bytes(truth.copied | truth.copied_by_parent)}"
            )
        has_forked = pid in look.target.tree.values()
        least_bytes = in_bytes(truth.copied) - (BOTH_WROTE_BYTES if has_forked else FORKING_BYTES)
        if not least_bytes <= row["copied_bytes"] <= in_bytes(truth.copied) + BOTH_WROTE_BYTES:
            wrong.append(f"{pid}: copied are {row['copied_bytes']}, true are {in_bytes(truth.copied)}")
        causes = row["causes"] or {}
        if sum(causes.get(f"{cause}_bytes", 0) for cause in CAUSES) != row["copied_bytes"]:
            wrong.append(f"{pid}: the causes {causes} are not {row['copied_bytes']}")
    return wrong + [f"{pid} is no worker" for pid in look.rows.keys() - look.truths.keys()]


LEAST_CAUSE_RATIO = 0.95
"""Of the copied bytes in a mode with one cause, so much has it; the rest is what any process writes."""

PART_RATIO = 0.05
"""So far a part of mixed causes may be off, of all copied bytes."""

COUNT_RATIO = 0.01
AT_RISK_RATIO = 0.03
SAVING_RATIO = 0.05


def judge(mode: Mode, look: Look) -> list[str]:
    """Return what an answer has wrong about a mode."""
    wrong = differences(look)
    for pid in look.writers(mode):
        row = look.rows[pid]
        if mode.cause and cause_ratio(row, mode.cause) < LEAST_CAUSE_RATIO:
            wrong.append(f"{pid}: {mode.cause} is {cause_ratio(row, mode.cause):.3f} of the copies: {row['causes']}")
        if mode.parts:
            wrong += _judge_parts(mode, look, pid)
        if not mode.cause and not mode.parts and row["copied_bytes"] >= IDLE_BYTES:
            wrong.append(f"{pid}: copied {row['copied_bytes']}, and did nothing")
    return wrong + _judge_counts(mode, look)


def _judge_parts(mode: Mode, look: Look, pid: int) -> list[str]:
    """Return which cause of several is wrong; what was copied in a step for data is data, whatever else wrote there."""
    copied, row = look.truths[pid].copied, look.rows[pid]
    by_cause = {cause: step[pid] & copied for cause, step in zip(mode.parts, look.steps, strict=True)}
    wrong = []
    for cause, pages in by_cause.items():
        true_bytes = in_bytes(pages if cause == "data" else pages - by_cause["data"])
        if abs(row["causes"][f"{cause}_bytes"] - true_bytes) > PART_RATIO * row["copied_bytes"]:
            wrong.append(f"{pid}: {cause} in {row['causes']}, true are {true_bytes}")
    return wrong


def _judge_counts(mode: Mode, look: Look) -> list[str]:
    """Return which counts of written reference counts by type are wrong."""
    if "refer all" not in mode.steps:
        return []
    wrong = []
    for pid in look.writers(mode):
        found = {one["type"]: one["word_count"] for one in look.rows[pid]["types"] if one["cause"] == "refcount"}
        for name, count in look.target.truth["counts"].items():
            words = sum(found.get(one, 0) for one in (name, f"__main__.{name}", f"builtins.{name}"))
            if abs(words - count) > COUNT_RATIO * count:
                wrong.append(f"{pid}: {words} reference counts of {name}, true are {count}")
    return wrong


@dataclass
class Foresight:
    """What airmem foretold of an idle tree, and what a collection in every worker, or in the first one, then copied."""

    foretold: dict[int, int]
    tree_bytes: int
    copied: dict[int, int]
    left: dict[int, int]

    def wrong(self) -> list[str]:
        """Return what was foretold wrongly."""
        found = [
            f"{pid}: {self.foretold[pid]} were at risk, {copied_bytes} were copied"
            for pid, copied_bytes in self.copied.items()
            if abs(self.foretold[pid] - copied_bytes) > AT_RISK_RATIO * copied_bytes
        ]
        found += [f"{pid}: {left_bytes} are left at risk" for pid, left_bytes in self.left.items() if left_bytes > MIB]
        if len(self.copied) == len(self.foretold):
            copied_bytes = sum(self.copied.values())
            if abs(self.tree_bytes - copied_bytes) > AT_RISK_RATIO * copied_bytes:
                found.append(f"tree: {self.tree_bytes} were at risk, {copied_bytes} were copied")
        return found


def foresee(start: Start, ask: Ask, workers: int, who: str = "all", options: tuple[str, ...] = ()) -> Foresight:
    """Ask what is at risk, have workers collect, and count what they copied."""
    trial = Trial(start("cow_tree", HEAP_MB, *options), Mode("foresight"), workers)
    before = trial.look(ask)
    trial.frames = read_tree(trial.target)
    copied = trial.step(f"collect {who}")
    after = trial.look(ask)
    pids = trial.target.truth["workers"][: 1 if who == "first" else None]
    return Foresight(
        foretold={pid: row["at_risk_bytes"] for pid, row in before.rows.items()},
        tree_bytes=before.answer["forecast"]["at_risk_bytes"],
        copied={pid: in_bytes(copied[pid]) for pid in pids},
        left={pid: after.rows[pid]["at_risk_bytes"] for pid in pids},
    )


def foresee_generations(start: Start, ask: Ask) -> list[str]:
    """Return what was foretold wrongly where the parent goes on working between the forks.

    Each worker has other originals then, and the last one of a group that shares them need not copy them: of a worker
    is foretold what it copies if only it collects, of the tree what all copy.
    """
    target = start("cow_tree", HEAP_MB)
    for order in ("fork", "drop parent", "fork", "collect parent", "mutate parent", "fork"):
        target.order(order)
    with standing_still(target) as before:
        answer = ask("cow", target.pid)
    rows = {row["pid"]: row["at_risk_bytes"] for row in answer["workers"]}
    first, *others = target.truth["workers"]
    target.order("collect first")
    alone_bytes = in_bytes(changed(before[first], read_anonymous(first)))
    target.order("collect all")
    after = read_tree(target)
    all_bytes = sum(in_bytes(changed(before[pid], after[pid])) for pid in (first, *others))
    pairs = ((rows[first], alone_bytes), (answer["forecast"]["at_risk_bytes"], all_bytes))
    return [
        f"{foretold} were at risk, {copied} were copied"
        for foretold, copied in pairs
        if abs(foretold - copied) > AT_RISK_RATIO * copied
    ]


@dataclass
class Saving:
    """What gc.freeze was said to save, asked before and after the collections, and what it saves."""

    before_bytes: int
    after_bytes: int
    true_bytes: int

    def wrong(self) -> list[str]:
        """Return which prediction is wrong."""
        return [
            f"asked {when} the collections: gc.freeze saves {said_bytes}, true are {self.true_bytes}"
            for when, said_bytes in (("before", self.before_bytes), ("after", self.after_bytes))
            if abs(said_bytes - self.true_bytes) > SAVING_RATIO * self.true_bytes
        ]


def save(start: Start, ask: Ask, workers: int) -> Saving:
    """Ask what gc.freeze would save, then count it: the same tree with and without it."""
    plain = Trial(start("cow_tree", HEAP_MB), BY_NAME["gc"], workers)
    before = plain.look(ask)
    plain.step("collect all")
    after = plain.look(ask)
    frozen = run_mode(start, ask, BY_NAME["freeze+gc"], workers)
    return Saving(
        before_bytes=saving_bytes(before.answer),
        after_bytes=saving_bytes(after.answer),
        true_bytes=copied_bytes(after) - copied_bytes(frozen),
    )


def saving_bytes(answer: Any) -> int:
    """Return what an answer says that gc.freeze saves, 0 if it does not propose it."""
    return next((int(one["saves_bytes"]) for one in answer["remedies"] if "freeze" in one["name"]), 0)


def copied_bytes(look: Look) -> int:
    """Return what all workers truly copied."""
    return sum(in_bytes(look.truths[pid].copied) for pid in look.target.truth["workers"])
