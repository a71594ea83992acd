"""A process with one thread that never rests."""

from __future__ import annotations

import threading

from tree import ready, rest


def spin() -> None:
    """Use a CPU."""
    count = 0
    while True:
        count += 1


threading.Thread(target=spin, daemon=True).start()
ready()
rest()
