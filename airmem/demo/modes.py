"""What the processes of a demo tree do, and what is therefore true of their memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airmem.demo.heap import DATA_RATIO, Heap

HANG_WORKERS = 3
"""Mode hang needs one that is killed, one that waits for its lock and one that waits for an answer."""

Work = Callable[[Heap], None]


@dataclass(frozen=True, slots=True)
class Mode:
    """What workers do after the fork, in turn, what the parent does, and what is therefore true.

    `copied_ratio` is at most how much of the heap each worker comes to hold alone.
    """

    truth: str
    works: tuple[Work, ...] = (Heap.rest,)
    parent_work: Work = Heap.rest
    is_frozen: bool = False
    copied_ratio: float = 0.0


MODES = {
    "none": Mode("the workers do nothing: nearly all of their memory is their parent's"),
    "gc": Mode(
        "each worker ran gc.collect() once: the collector wrote into each object that it tracks, so each worker now\n"
        "  has copies of the pages that hold them, with the same content as before",
        works=(Heap.collect,),
        copied_ratio=1.0,
    ),
    "refcount": Mode(
        "each worker took and keeps a reference to every object: it has copies of the pages that hold them, which\n"
        "  differ in reference counts only, and a list of the references as its own",
        works=(Heap.refer,),
        copied_ratio=1.2,
    ),
    "data": Mode("each worker rewrote {data} of plain data", works=(Heap.rewrite,), copied_ratio=DATA_RATIO),
    "frozen": Mode(
        "the parent called gc.freeze() before it forked, then each worker ran gc.collect(): nearly nothing was copied",
        works=(Heap.collect,),
        is_frozen=True,
    ),
    "parent": Mode(
        "the parent ran gc.collect() and rewrote {data} of plain data after it forked, the workers did nothing: the\n"
        "  copies are the parent's, and the workers share the originals among themselves",
        parent_work=Heap.collect_and_rewrite,
    ),
    "mixed": Mode(
        "every other worker ran gc.collect(), the others rewrote {data} of plain data",
        works=(Heap.collect, Heap.rewrite),
        copied_ratio=1.0,
    ),
    "hang": Mode(
        "the first worker was killed while it held a lock that the others wait for; the last one waits on a\n"
        "  socket for an answer that never comes"
    ),
}
