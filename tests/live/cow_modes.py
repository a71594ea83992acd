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
alone and writes to it in place: a single look afterwards sees two writers, and cannot tell who came first."""

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
        if row["shared_bytes"] != in_bytes(truth.shared):
            wrong.append(f"{pid}: shared are {row['shared_bytes']}, true are {in_bytes(truth.shared)}")
        diverged_bytes = row["copied_bytes"] + row["copied_by_parent_bytes"]
        if diverged_bytes != in_bytes(truth.copied | truth.copied_by_parent):
            wrong.append(
                f"{pid}: {diverged_bytes} diverged, true are {in_bytes(truth.copied | truth.copied_by_parent)}"
            )
        if not 0 <= row["copied_bytes"] - in_bytes(truth.copied) <= BOTH_WROTE_BYTES:
            wrong.append(f"{pid}: copied are {row['copied_bytes']}, true are {in_bytes(truth.copied)}")
        causes = row["causes"] or {}
        if sum(causes.get(f"{cause}_bytes", 0) for cause in CAUSES) != row["copied_bytes"]:
            wrong.append(f"{pid}: the causes {causes} are not {row['copied_bytes']}")
    return wrong + [f"{pid} is no worker" for pid in look.rows.keys() - look.truths.keys()]
