"""A process full of objects of known types, and children that it forks; it counts them itself when it is told to.

    objects.py [COUNT [CHILDREN [MODE]]]

MODE for the children: rest, collect (a full collection in each), grow (each makes COUNT / 10 objects of its own).
Orders by a line of standard input: `count` makes the parent print READY with what its own collector knows, by type, and
how many tuples and dicts it made; `grow N` makes it N more `Leaked`. `exec` makes it another program. Counting touches every object: it must be the last.
"""

from __future__ import annotations

import asyncio  # a few thousand types and functions, as a real service has
import collections
import enum
import gc
import logging
import os
import sys
import types
import unittest.mock
from email import message

from tree import fork, ready

USED = (asyncio, logging, unittest.mock, message)
COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
CHILDREN = int(sys.argv[2]) if len(sys.argv) > 2 else 0
MODE = sys.argv[3] if len(sys.argv) > 3 else "rest"


class Plain:
    """Its attributes are in a dict, or inline."""

    def __init__(self, number: int) -> None:
        self.number = number


class Slotted:
    """Nothing of it is in a dict."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Text(str):
    """A subclass of a builtin type that the collector does not know."""

    __slots__ = ()


class Meta(type):
    """A metatype whose only class is made late."""


class Color(enum.Enum):
    """Its metatype is EnumMeta."""

    RED = 1


def make_twin(module: str) -> type:
    """Return a class of a name that another module has too."""
    return type("Twin", (), {"__module__": module})


def make_cell(number: int) -> types.FunctionType:
    """Return a function with a cell."""
    return lambda: number


Leaked = type("Leaked", (), {"__module__": "service.cache"})
Twins = make_twin("north.models"), make_twin("south.models")
Escaping = type("Evil\x1b[31m\n", (), {"__module__": "bad\x1b]0;owned\x07"})
Made = Meta("Made", (), {"__slots__": ("link",)})

KEPT: dict[str, list[object]] = {
    "plain": [Plain(number) for number in range(COUNT)],
    "slotted": [Slotted(number) for number in range(COUNT)],
    "text": [Text(f"text {number}") for number in range(COUNT)],
    "twins": [Twins[number % 3 == 0]() for number in range(COUNT)],
    "escaping": [Escaping() for _ in range(COUNT)],
    "made": [Made() for _ in range(COUNT)],
    "lists": [[number] for number in range(COUNT)],
    "dicts": [{"number": number} for number in range(COUNT)],
    "dicts of lists": [{"number": [number]} for number in range(COUNT)],
    "sets": [{number} for number in range(COUNT)],
    "tuples": [(number, float(number)) for number in range(COUNT)],
    "tuples of lists": [(number, [number]) for number in range(COUNT)],
    "deques": [collections.deque([number]) for number in range(COUNT)],
    "cells": [make_cell(number) for number in range(COUNT)],
    "bytes": [bytes(200 + number % 7) for number in range(COUNT)],
    "ints": [1 << 40 + number % 30 for number in range(COUNT)],
    "leaked": [],
}


def name_of(kind: type) -> str:
    """Return what airmem should call a type."""
    return f"{kind.__module__}.{kind.__qualname__}"


def count() -> dict[str, object]:
    """Return how many objects of each type the collector tracks, and how many live tuples and dicts were made here."""
    counts: collections.Counter[str] = collections.Counter()
    for one in gc.get_objects():
        counts[name_of(type(one))] += 1
    return {
        "tracked": counts,
        "frozen_count": gc.get_freeze_count(),
        "generations": [len(gc.get_objects(generation)) for generation in range(3)],
        "made": {name: len(made) for name, made in KEPT.items()},
    }


def rest_in_child() -> None:
    """Do in a forked child what MODE says; fork keeps the child alive afterwards."""
    if MODE == "collect":
        gc.collect()
    elif MODE == "grow":
        KEPT["leaked"] += [Leaked() for _ in range(COUNT // 10)]


gc.collect()
if "freeze" in sys.argv[4:]:
    gc.freeze()
gc.disable()
ready(children=[fork(rest_in_child) for _ in range(CHILDREN)])
for line in sys.stdin:
    order = line.split()
    if order[0] == "grow":
        KEPT["leaked"] += [Leaked() for _ in range(int(order[1]))]
        ready()
    elif order[0] == "freeze":
        gc.freeze()
        ready()
    elif order[0] == "exec":
        os.execvp("sleep", ["sleep", "600"])
    else:
        ready(**count())
