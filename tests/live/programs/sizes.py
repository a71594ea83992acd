"""Objects of classes of their own, of known sizes: what airmem calls shallow is what sys.getsizeof says of them.

The heads of the garbage collector, which sys.getsizeof adds, are left out.
"""

from __future__ import annotations

import collections
import sys

from tree import ready, rest

COUNT = int(sys.argv[1])
HEAD_BYTES = 16
HAVE_GC = 1 << 14


class Digits(int):
    """Of several digits, and negative ones."""

    __slots__ = ()


class Octets(bytes):
    """Of several lengths."""

    __slots__ = ()


class Slotted:
    """Without a dict."""

    __slots__ = ("one", "three", "two")


Point = collections.namedtuple("Point", "x y z")
KEPT = {
    Slotted: [Slotted() for _ in range(COUNT)],
    Point: [Point(1, 2, 3) for _ in range(COUNT)],
    Octets: [Octets(b"x" * (number % 300)) for number in range(COUNT)],
    Digits: [Digits((1 << number % 200) * (-1) ** number) for number in range(COUNT)],
}


def size_of(one: object) -> int:
    """Return its size without a head."""
    return sys.getsizeof(one) - HEAD_BYTES * bool(type(one).__flags__ & HAVE_GC)


ready(
    sizes={
        f"{kind.__module__}.{kind.__qualname__}": (len(kept), sum(map(size_of, kept))) for kind, kept in KEPT.items()
    }
)
rest()
