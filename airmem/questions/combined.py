"""Whose memory is it, in several captures?"""

from __future__ import annotations

from airmem.analysis.combine import combine_totals
from airmem.errors import AirmemError
from airmem.model.combined import CombinedReport
from airmem.questions.pss import answer_pss
from airmem.questions.sources import open_from
from airmem.questions.targets import resolve_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def answer_combined(
    files: tuple[str, ...], target: str | None, **question: Any
) -> tuple[CombinedReport, tuple[AirmemError, ...]]:
    """Return the answers of several files and their sums, and what was wrong with those that gave none.

    One bad file does not lose the rest. Errors: that of the first file when no file answers.
    """
    names, reports, problems = [], [], []
    for name in files:
        try:
            source = open_from(name)
            reports.append(answer_pss(resolve_target(target, source), source=source, **question))
            names.append(name)
        except AirmemError as problem:
            problems.append(problem)
    if not reports:
        raise problems[0]
    combined = combine_totals(tuple(reports), len(problems))
    return CombinedReport(names=tuple(names), reports=tuple(reports), combined=combined), tuple(problems)
