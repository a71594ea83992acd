"""A parent and children that freeze and unfreeze objects, before or after the fork. Argument: unfreeze, postfork or nested.

unfreeze: the parent freezes, forks two that rest, unfreezes and collects. postfork: the first of two freezes for itself.
nested: a child forks one that collects and one that rests.
"""

from __future__ import annotations

import gc
import sys

from tree import fork, ready, rest

MODE = sys.argv[1]
COUNT = 60_000


class Node:
    """An object that the collector tracks, with two more."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.options = {"number": [number]}


def nothing() -> None:
    """Rest."""


def main() -> None:
    """Build, freeze, fork."""
    gc.disable()
    nodes = [Node(number) for number in range(COUNT)]
    gc.collect()
    truth: dict[str, object] = {"nodes": len(nodes)}
    if MODE == "unfreeze":
        gc.freeze()
        truth["frozen_count"] = gc.get_freeze_count()
        truth["resting"] = [fork(nothing), fork(nothing)]
        gc.unfreeze()
        gc.collect()
    elif MODE == "postfork":
        truth["freezing"] = fork(gc.freeze)
        truth["resting"] = [fork(nothing)]
    else:
        truth["child"] = fork(lambda: (fork(gc.collect), fork(nothing)))
    ready(**truth)
    rest()


main()
