"""What gc.freeze saves, measured on somebody's own imports."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class FreezeWay:
    """One way to fork: `name` is as_it_is, freeze or collect_and_freeze.

    `copied_bytes` is what a full collection in the forked worker copied.
    """

    name: str
    frozen_count: int
    copied_bytes: int


@noun
class FreezeTrial:
    """Modules imported by a Python, and what a collection in a worker copies by each way to fork.

    `anonymous_bytes` is the parent's private memory after the imports, `saves_bytes` what gc.freeze alone saves for
    each worker that collects.
    """

    python: str
    python_version: str
    modules: tuple[str, ...]
    anonymous_bytes: int
    ways: tuple[FreezeWay, ...]
    saves_bytes: int
    took_seconds: float
