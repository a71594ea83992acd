"""One judgement about what was measured.

Compared and printed by nobody: a generated __eq__ and __repr__ would cost start-up time.
"""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("note", "warning", "critical")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Finding:
    """A judgement with a stable code (AM101), how grave it is, its evidence and what to do about it."""

    code: str
    severity: str
    pid: int | None
    summary: str
    evidence: str
    remedy: str
