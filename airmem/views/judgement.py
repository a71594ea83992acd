"""Findings, gaps and the next command: the end of every answer."""

from __future__ import annotations

from airmem.views.document import Paragraph

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.finding import Finding
    from airmem.model.gap import Gap

STYLES = {"note": "", "warning": "strong", "critical": "alarm"}
MOST_PIDS = 6


def view_findings(findings: tuple[Finding, ...]) -> list[Paragraph]:
    """Return each finding with its evidence and remedy."""
    return [
        Paragraph(
            text=f"{one.severity} {one.code}: {one.summary} ({one.evidence}). {one.remedy}.",
            style=STYLES[one.severity],
            hang=2,
        )
        for one in findings
    ]


def view_gaps(gaps: tuple[Gap, ...]) -> list[Paragraph]:
    """Return what could not be read, once for each reason, with whom it concerns and the remedy."""
    groups: dict[tuple[str, str], list[Gap]] = {}
    for gap in gaps:
        groups.setdefault((gap.fact, gap.reason), []).append(gap)
    return [paragraph for group in groups.values() for paragraph in _view_gap(group)]


def view_next(command: str) -> list[Paragraph]:
    """Return the command worth running next (rules/asking.py makes those that ask again), if there is one."""
    return [Paragraph(text=f"Next: {command}", style="faint")] if command else []


def _view_gap(group: list[Gap]) -> list[Paragraph]:
    """Return what is missing and why; a command that helps stands on a line of its own, to be copied."""
    first = group[0]
    pids = [str(gap.pid) for gap in group if gap.pid is not None]
    others = ""
    if len(pids) > 1:
        more = f" and {len(pids) - MOST_PIDS} more" if len(pids) > MOST_PIDS else ""
        others = f" (likewise {', '.join(pids[1:MOST_PIDS])}{more})"
    advice, colon, line = first.remedy.rpartition(": ")
    is_command = bool(colon) and "airmem" in line.split()
    text = f"gap {first.reason}: {first.fact} unknown, {first.detail}{others}. "
    text += f"{advice}:" if is_command else f"{first.remedy}."
    paragraphs = [Paragraph(text=text, style="strong", hang=2)]
    return [*paragraphs, Paragraph(text=f"    {line}", is_whole=True)] if is_command else paragraphs
