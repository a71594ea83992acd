"""The tasks of an asyncio event loop in a running interpreter, found without running anything in it.

A task and a future written in C begin with the loop that they belong to (Modules/_asynciomodule.c, FutureObj_HEAD), so
that whoever points at the loop from its third word, and has a type called `..Task`, is one. What a task holds is told
by the types of what it points at: its coroutine, its name (from 3.12 on a number until somebody asks), what it waits
for.
"""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.cpython.objects_at import Objects

LOOP_OFFSET = 16
COROUTINES = frozenset({"coroutine", "generator", "async_generator", "async_generator_asend"})
MOST_TASKS = 1000
MOST_DEPTH = 32
FRAME_WORDS = 48
"""How many words of a coroutine are searched for the one that it awaits: its frame lies inside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncTask:
    """A task that has not ended: its name, empty where it has only a number; its coroutines, outermost first.

    `awaits` is the type of what it waits for (`_asyncio.Future`, `_asyncio.Task`), empty if it waits for nothing.
    """

    address: int
    name: str
    coroutines: tuple[str, ...]
    awaits: str
    awaits_address: int


def find_tasks(objects: Objects, loop_address: int) -> tuple[AsyncTask, ...]:
    """Return the tasks of an event loop that wait, as far as they are written in C; leaves of the waiting first."""
    found: dict[int, AsyncTask] = {}
    for pointer in objects.find_word(loop_address):
        address = pointer - LOOP_OFFSET
        if len(found) < MOST_TASKS and objects.type_name(address).rpartition(".")[2].endswith("Task"):
            task = _read_task(objects, address)
            if task is not None:
                found[address] = task
    return tuple(sorted(found.values(), key=lambda one: one.awaits_address in found))


def _read_task(objects: Objects, address: int) -> AsyncTask | None:
    size = objects.basic_size(address)
    if not 96 <= size <= 1024:
        return None
    words = objects.words(address, size // 8)
    kinds = [(word, objects.type_name(word)) for word in words[LOOP_OFFSET // 8 + 1 :]]
    coroutine = next((word for word, kind in kinds if kind in COROUTINES), 0)
    if not coroutine:
        return None
    names = [objects.text(word) for word, kind in kinds if kind == "str"]
    waits = [
        (word, kind) for word, kind in kinds if kind.rpartition(".")[2].endswith(("Future", "Task")) and word != address
    ]
    return AsyncTask(
        address=address,
        name=names[-1] if names else "",
        coroutines=tuple(_coroutine_names(objects, coroutine)),
        awaits=waits[-1][1] if waits else "",
        awaits_address=waits[-1][0] if waits else 0,
    )


def _coroutine_names(objects: Objects, address: int) -> list[str]:
    """Return the names of a coroutine and of those it awaits, one inside the other."""
    names: list[str] = []
    seen: set[int] = set()
    while address and address not in seen and len(names) < MOST_DEPTH:
        seen.add(address)
        words = objects.words(address, FRAME_WORDS)
        texts = [text for word in words[2:12] if objects.type_name(word) == "str" and (text := objects.text(word))]
        names.append(texts[0] if texts else "")
        inner = [word for word in words[2:] if word not in seen and objects.type_name(word) in COROUTINES]
        address = inner[-1] if inner else 0
    return names
