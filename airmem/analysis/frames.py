"""An index of page frames: small arrays with one cell for each frame that a tree maps."""

from __future__ import annotations

import numpy as np

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias, TypeVar

    import numpy.typing as npt

    Number = TypeVar("Number", bound=np.generic)

BLOCK_BITS = 6
"""64 frames to a block: on a machine whose memory is in pieces, larger blocks would be mostly empty cells."""

BLOCK_FRAMES = 1 << BLOCK_BITS
Cells: TypeAlias = "npt.NDArray[np.int32]"


class FrameIndex:
    """Maps page frame numbers to cells, block by block, so that its size follows the tree and not the machine.

    Each cell counts the processes that brought the frame in, holds a mark, and counts mappings if asked to.
    """

    LIMIT = 1 << 33
    """Frames from here on (32 TiB) are device memory, which no RSS counts."""

    def __init__(self, with_mappings: bool) -> None:
        self._block_cells = np.zeros(
            1 << 12, np.int32
        )  # a block's first cell + 1; what is never touched stays unmapped
        self._blocks: list[npt.NDArray[np.int64]] = []
        self._block_count = 0
        self._processes = np.zeros(0, np.uint16)
        self._marks = np.zeros(0, np.bool_)
        self._marked = np.zeros(0, np.int32)
        self._mappings = np.zeros(0, np.int32) if with_mappings else None

    def place(self, frames: npt.NDArray[np.int64]) -> Cells:
        """Return the cell of each frame; frames not seen before get new ones."""
        if not len(frames):
            return np.zeros(0, np.int32)
        blocks = frames >> BLOCK_BITS
        highest = int(blocks.max())
        if highest >= len(self._block_cells):
            known = np.flatnonzero(self._block_cells)
            larger = np.zeros(max(highest + 1, 2 * len(self._block_cells)), np.int32)
            larger[known] = self._block_cells[known]
            self._block_cells = larger
        cells: Cells = self._block_cells[blocks]
        if cells.min() == 0:
            self._add_blocks(self._distinct(blocks[cells == 0]))
            cells = self._block_cells[blocks]
        inside: Cells = (frames & (BLOCK_FRAMES - 1)).astype(np.int32) - np.int32(1)
        return np.add(cells, inside)

    def _distinct(self, blocks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return each of these new blocks once, without sorting: of equal ones that whose number the table holds."""
        order = np.arange(len(blocks), dtype=np.int32)
        self._block_cells[blocks] = order
        distinct: npt.NDArray[np.int64] = blocks[self._block_cells[blocks] == order]
        return distinct

    def _add_blocks(self, blocks: npt.NDArray[np.int64]) -> None:
        first = (self._block_count << BLOCK_BITS) + 1
        self._block_count += len(blocks)
        self._blocks.append(blocks)
        self._block_cells[blocks] = first + (np.arange(len(blocks), dtype=np.int32) << BLOCK_BITS)
        size = self._block_count << BLOCK_BITS
        if size > len(self._processes):
            room = max(size, len(self._processes) * 2)
            self._processes = _grown(self._processes, room)
            self._marks = _grown(self._marks, room)
            if self._mappings is not None:
                self._mappings = _grown(self._mappings, room)

    def count(self, cells: Cells) -> None:
        """Count one more process for each of these cells; a cell that occurs twice is counted once."""
        self._processes[cells] += 1

    def count_mappings(self, cells: Cells) -> None:
        """Count one more mapping for each occurrence of a cell."""
        if self._mappings is not None:
            np.add.at(self._mappings, cells, 1)

    def mark(self, cells: Cells) -> None:
        """Mark these cells and no others."""
        self._marks[self._marked] = False
        self._marks[cells] = True
        self._marked = cells

    def is_marked(self, cells: Cells) -> npt.NDArray[np.bool_]:
        """Tell for each cell whether it is marked."""
        marked: npt.NDArray[np.bool_] = self._marks[cells]
        return marked

    def is_shared(self, cells: Cells) -> npt.NDArray[np.bool_]:
        """Tell for each cell whether more than one process was counted."""
        return np.greater(self._processes[cells], 1)

    @property
    def frame_count(self) -> int:
        """How many different frames were counted."""
        return int(np.count_nonzero(self._processes))

    def counted_frames(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the frames that were counted, ascending, and how often the tree maps each."""
        cells = np.flatnonzero(self._processes)
        blocks = np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int64)
        frames = (blocks[cells >> BLOCK_BITS] << BLOCK_BITS) + (cells & (BLOCK_FRAMES - 1))
        order = np.argsort(frames)
        mappings = self._mappings if self._mappings is not None else self._processes
        return frames[order], mappings[cells[order]].astype(np.int64)


def _grown(cells: npt.NDArray[Number], size: int) -> npt.NDArray[Number]:
    return np.concatenate((cells, np.zeros(size - len(cells), cells.dtype)))
