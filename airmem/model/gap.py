"""What could not be read, and why."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class Gap:
    """A fact that is missing: which, of whom (None: of the whole tree), the true cause, and a remedy.

    `reason` is one word from docs/commands/gaps.md, for programs; `detail` and `remedy` are for people. Reading
    rooms leave `remedy` empty: what to advise is an opinion (rules).
    """

    pid: int | None
    fact: str
    reason: str
    detail: str
    remedy: str = ""
