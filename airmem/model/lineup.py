"""A mapping of a parent and what its workers have at the same addresses."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class WorkerRange:
    """What one worker maps in a parent's range, in bytes: still shared with somebody, or its own."""

    pid: int
    size_bytes: int
    rss_bytes: int
    pss_bytes: int
    shared_bytes: int
    private_bytes: int


@noun
class LinedUpMapping:
    """A range of the root's addresses, with what it and each forked worker hold there.

    Mappings that a worker has merged are taken together. `workers` in the tree's order; one that maps nothing there
    is left out. RSS and PSS are None where they are not told (of pmap's output).
    """

    start_address: int
    end_address: int
    permissions: str
    name: str
    size_bytes: int
    rss_bytes: int | None
    pss_bytes: int | None
    workers: tuple[WorkerRange, ...]

    @property
    def private_bytes(self) -> int:
        """What all workers together have for themselves in this range."""
        return sum(worker.private_bytes for worker in self.workers)
