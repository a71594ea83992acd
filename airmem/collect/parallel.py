"""Several items at once: while the kernel or another program works for one, Python's lock is free for the next."""

from __future__ import annotations

from collections import deque
from threading import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    Item = TypeVar("Item")


def for_each(items: Iterable[Item], look: Callable[[Item], None], thread_count: int) -> None:
    """Call `look` with each item, in so many threads. Errors: the first one's, after which no further item is begun."""
    pending = deque(items)
    faults: list[Exception] = []

    def run() -> None:
        while not faults:
            try:
                item = pending.popleft()
            except IndexError:
                return
            try:
                look(item)
            except Exception as fault:  # a thread has nobody to raise to
                faults.append(fault)

    threads = [Thread(target=run, daemon=True) for _ in range(min(thread_count, len(pending)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
