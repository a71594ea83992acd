"""Thread locks and multiprocessing's semaphores in a running interpreter: which object is it, and who holds it.

Up to Python 3.13 a lock is a pointer to a semaphore of the C library, which is what its waiters sleep on: whoever
points at the address of the futex is the lock (Modules/_threadmodule.c, Python/thread_pthread.h). A `with` block keeps
the lock's bound `__exit__` on the interpreter's stack until it ends, in a chunk that the thread's state points at
(Include/internal/pycore_pystate.h). From 3.14 on locks are one byte and none of this holds: nothing is found.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.cpython.objects_at import Objects

LOCK_TYPE = "_thread.lock"
RLOCK_TYPE = "_thread.RLock"
SEMAPHORE_TYPES = frozenset({"_multiprocessing.SemLock"})
METHOD_TYPES = frozenset({"builtin_function_or_method", "builtin_method"})
EXIT_NAME = b"__exit__\0"
POINTER_OF_LOCK = 16
CHUNK_BYTES = frozenset({1 << 14, 1 << 15, 1 << 16, 1 << 17})
"""Sizes of the interpreter's stack chunks: 16 KiB, doubled when a frame needs more (Python/pystate.c)."""

STATE_BYTES = (256, 768)
"""How far before and behind the pair (ident, tid) in a thread's state its chunk is pointed at."""

HEAD_WORDS = 3
MOST_CHUNKS = 64
MOST_REFERENCES = 1 << 16
MOST_DEPTH = 10_000
RECURSIVE_MUTEX = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LockObject:
    """A thread lock: where it is; of an RLock who owns it (threading.get_ident()) and how often it took it."""

    address: int
    is_recursive: bool
    owner_ident: int
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SemaphoreObject:
    """One process's view of a multiprocessing semaphore: how often this process holds it, and which thread took it.

    `kind` 0 is a recursive lock, 1 a semaphore; a lock is a semaphore of at most 1
    (Modules/_multiprocessing/semaphore.c).
    """

    address: int
    last_ident: int
    held_count: int
    most_count: int
    kind: int


def find_lock(objects: Objects, futex_address: int) -> LockObject | None:
    """Return the lock whose waiters sleep at an address, None if no object is found."""
    for pointer in objects.find_word(futex_address):
        address = pointer - POINTER_OF_LOCK
        name = objects.type_name(address)
        if name == RLOCK_TYPE:
            owner, depth = (*objects.words(pointer + 8, 2), 0, 0)[:2]
            return LockObject(
                address=address, is_recursive=True, owner_ident=owner if depth else 0, depth=min(depth, MOST_DEPTH)
            )
        if name == LOCK_TYPE:
            return LockObject(address=address, is_recursive=False, owner_ident=0, depth=0)
    return None


def is_same_lock(objects: Objects, others: Objects, address: int) -> bool:
    """Whether another process has a lock at the same address, with the same semaphore: a fork leaves both in place."""
    return (
        objects.type_name(address) == others.type_name(address) != ""
        and objects.word(address + POINTER_OF_LOCK) == others.word(address + POINTER_OF_LOCK) != 0
    )


def find_exits(objects: Objects, lock_address: int, ident: int, tid: int) -> frozenset[int]:
    """Return the bound `__exit__` methods of a lock on a thread's stack: one for each `with` that it is in or enters.

    A slot that is not in use any more may point at one that is now another thread's.
    """
    methods: set[int] = set()
    for chunk in _stack_chunks(objects, ident, tid):
        methods |= _exits(objects, chunk, lock_address)
    return frozenset(methods)


def find_semaphore(objects: Objects, handle_address: int) -> SemaphoreObject | None:
    """Return the semaphore object whose handle is at an address: the beginning of its mapping."""
    for pointer in objects.find_word(handle_address):
        found = read_semaphore(objects, pointer - POINTER_OF_LOCK)
        if found is not None:
            return found
    return None


def read_semaphore(objects: Objects, address: int) -> SemaphoreObject | None:
    """Return the semaphore object at an address, None if there is none."""
    if objects.type_name(address) not in SEMAPHORE_TYPES:
        return None
    raw = objects.read(address + POINTER_OF_LOCK, 32)
    if raw is None:
        return None
    _, ident, held, most, kind = struct.unpack_from("<QQiii", raw)
    return SemaphoreObject(address=address, last_ident=ident, held_count=held, most_count=most, kind=kind)


def _stack_chunks(objects: Objects, ident: int, tid: int) -> list[tuple[int, ...]]:
    """Return the words in use of a thread's stack chunks: its state has ident and tid in a row.

    The state names its chunk, the top in it, and its end, one after the other.
    """
    for address in objects.find_word(ident) if ident else ():
        if objects.word(address + 8) & 0xFFFFFFFF != tid:
            continue
        before, behind = STATE_BYTES
        words = objects.words(address - before, (before + behind) // 8)
        for chunk, top, end in zip(words, words[1:], words[2:], strict=False):
            is_chunk = not chunk % 4096 and chunk > 1 << 16 and end - chunk in CHUNK_BYTES and chunk < top <= end
            if is_chunk and objects.word(chunk + 8) == end - chunk:
                return [objects.words(chunk, (top - chunk) // 8), *_chunks_before(objects, chunk)]
    return []


def _chunks_before(objects: Objects, address: int) -> list[tuple[int, ...]]:
    """Return what is in use of the chunks before one: each begins with the one before, its size, and its top."""
    found: list[tuple[int, ...]] = []
    address = objects.word(address)
    while address and len(found) < MOST_CHUNKS:
        before, size, top = (*objects.words(address, HEAD_WORDS), 0, 0, 0)[:HEAD_WORDS]
        if size not in CHUNK_BYTES or top > size // 8:
            break
        found.append(objects.words(address, HEAD_WORDS + top))
        address = before
    return found


def _exits(objects: Objects, chunk: tuple[int, ...], lock_address: int) -> set[int]:
    """Return the bound `__exit__` methods of a lock that a stack points at, built in ones (PyCFunctionObject).

    Their fourth word is the lock (m_self), the third their definition, which begins with the name. One that was freed
    has a pointer for its reference count.
    """
    found = set()
    for word in dict.fromkeys(chunk):
        if word % 8 or word < 1 << 16 or word >= 1 << 47:
            continue
        head = objects.words(word, 4)
        is_bound = bool(head) and head[3] == lock_address and 0 < head[0] < MOST_REFERENCES
        if is_bound and objects.type_name(word) in METHOD_TYPES and objects.read(objects.word(head[2]), 9) == EXIT_NAME:
            found.add(word)
    return found
