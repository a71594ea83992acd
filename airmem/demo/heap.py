"""A heap as a service has it: many small objects that refer to each other, and plain data in buffers."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

BUFFER_BYTES = 64 * 1024
DATA_RATIO = 1 / 6
"""So much of the heap is plain data (bytearrays), which mode data rewrites; the rest are objects."""


class Edge:
    """A small object of a service's graph."""

    __slots__ = ("source", "target", "trigger")

    def __init__(self, source: list[int], target: str) -> None:
        self.source = source
        self.target = target
        self.trigger: list[str] = []


class Task:
    """An ordinary object of a service: attributes that are strings, lists, dicts and other objects."""

    def __init__(self, number: int) -> None:
        self.name = f"task_{number:09d}"
        self.options = {"owner": self.name, "retries": [number], "tags": [f"tag {number}", self.name]}
        self.edges = [Edge([number, step], self.name) for step in range(8)]

    def parts(self) -> Iterator[object]:
        """Yield every object that this one holds, and itself, without writing to any of them."""
        yield from (self, self.name, self.options, self.edges)
        yield from self.options.values()
        for edge in self.edges:
            yield from (edge, edge.source, edge.trigger)


@dataclass(slots=True)
class Heap:
    """What the parent builds before it forks: objects, and plain data in buffers."""

    tasks: list[Task]
    buffers: list[bytearray]
    kept: list[object] = field(default_factory=list)

    @property
    def data_bytes(self) -> int:
        """How many bytes the buffers hold."""
        return len(self.buffers) * BUFFER_BYTES

    def collect(self) -> None:
        """Run a full collection: the collector writes into the head of every object that it tracks."""
        gc.collect()

    def refer(self) -> None:
        """Take and keep a reference to every object: each one's count of references is written."""
        self.kept = [part for task in self.tasks for part in task.parts()]

    def rewrite(self) -> None:
        """Replace every byte of the plain data by others."""
        fresh = os.getpid().to_bytes(4, "little") * (BUFFER_BYTES // 4)
        for buffer in self.buffers:
            buffer[:] = fresh

    def collect_and_rewrite(self) -> None:
        """Do both, as a parent does that goes on working."""
        self.collect()
        self.rewrite()

    def rest(self) -> None:
        """Do nothing."""


def build_heap(heap_bytes: int, is_frozen: bool) -> Heap:
    """Return objects and buffers of about so many bytes, collected once, and turn the collector on.

    Until then it is off (see airmem.__main__). After one collection every object is in the oldest generation, as in a
    service that has run for a while: what forked workers copy then is what they themselves write.
    """
    data_bytes = int(heap_bytes * DATA_RATIO)
    buffers = [bytearray(BUFFER_BYTES) for _ in range(max(1, data_bytes // BUFFER_BYTES))]
    tasks = [Task(number) for number in range(max(1, int((heap_bytes - data_bytes) / _task_bytes())))]
    gc.collect()
    if is_frozen:
        gc.freeze()
    gc.enable()
    return Heap(tasks, buffers)


def _task_bytes() -> float:
    """Return what one task takes on this Python."""
    import tracemalloc  # noqa: PLC0415  # only here

    tracemalloc.start()
    tasks = [Task(number) for number in range(1000)]
    traced_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return traced_bytes / len(tasks)
