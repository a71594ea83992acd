"""Which pages belong to pools of CPython's allocator for small objects: no type object lies there.

A type object takes more than 512 bytes, so it comes from malloc, or is part of a program. Source: Objects/obmalloc.c,
Include/internal/pycore_obmalloc.h of 3.10 and later (pools of 16 KiB in arenas of 1 MiB; before, and in processes with
PYTHONMALLOC=malloc, no pool is recognized and no page is left out).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from airmem.model.contents import Contents, ProcessKey
from airmem.units import KIB, PAGE_BYTES

POOL_BYTES = 16 * KIB
STRETCH_BYTES = 256 * KIB
"""Where the first and the last pool of such a stretch are pools, all between are: an arena is larger."""

HEADER_BYTES = 48
MOST_BLOCKS = POOL_BYTES // 16
BLOCK_STEP = 16
CLASS_COUNT = 32
"""Blocks of 16 to 512 bytes."""

HALF = np.uint64(32)
LOW = np.uint64((1 << 32) - 1)


def outside_pools(contents: Contents, key: ProcessKey, pages: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return those of a process's pages (numbers, ascending) that lie in no pool, as far as that can be told cheaply.

    Reads one page in thirty. Errors: ProcessGone.
    """
    pool_pages, stretch_pages = POOL_BYTES // PAGE_BYTES, STRETCH_BYTES // PAGE_BYTES
    if pool_pages < 1:
        return pages
    stretches = np.unique(pages // stretch_pages)
    first = stretches * stretch_pages
    probes = np.sort(np.concatenate((first, first + stretch_pages - pool_pages)))
    there = probes[np.isin(probes, pages)]
    is_pool = np.zeros(len(there), np.bool_)
    at = 0
    for block in contents.blocks(key, there):
        is_pool[at : at + len(block.pages)] = _is_pool(block.words.reshape(len(block.pages), -1)) & block.is_read
        at += len(block.pages)
    found, counts = np.unique(there[is_pool] // stretch_pages, return_counts=True)
    return pages[~np.isin(pages // stretch_pages, found[counts == 2])]


def count_pages_with_free_blocks(pages: npt.NDArray[np.int64], words: npt.NDArray[np.uint64]) -> int:
    """Return how many pages belong to pools with a free block, among pages and their words (pages, words in a page).

    Who allocates a small object takes such a block, and so copies its page if that is shared.
    """
    pool_pages = POOL_BYTES // PAGE_BYTES
    headers = words[pages % pool_pages == 0] if pool_pages else words[:0]
    headers = headers[_is_pool(headers)]
    sizes = ((headers[:, 4] >> HALF) + np.uint64(1)) * np.uint64(BLOCK_STEP)
    room = np.uint64(POOL_BYTES - HEADER_BYTES) // sizes
    return int(np.count_nonzero(headers[:, 0] < room)) * pool_pages


def _is_pool(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Tell which pages begin with a pool's header, whose last offset must fit its class of sizes."""
    size_class, last_offset, offset = words[:, 4] >> HALF, words[:, 5] >> HALF, words[:, 5] & LOW
    fits = last_offset == np.uint64(POOL_BYTES) - (size_class + np.uint64(1)) * np.uint64(BLOCK_STEP)
    is_sane = (words[:, 0] <= np.uint64(MOST_BLOCKS)) & (size_class < CLASS_COUNT) & (offset <= np.uint64(POOL_BYTES))
    found: npt.NDArray[np.bool_] = fits & is_sane
    return found
