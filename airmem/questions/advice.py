"""What would help here: remedies for what an answer could not read, chosen by the place."""

from __future__ import annotations

from airmem.collect.place import collect_identities, collect_place
from airmem.errors import NotPermitted
from airmem.rules.gaps import advise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.collect.source import Source
    from airmem.model.gap import Gap


def advise_here(source: Source, gaps: tuple[Gap, ...], again: str, root_pid: int | None = None) -> tuple[Gap, ...]:
    """Return the gaps with remedies for this place; `again` is the command to run again.

    Only for `root_pid` it may help to become its user: as a child's user one could not read its parent.
    """
    try:
        place = collect_place(source)
    except (OSError, ValueError):
        return advise(gaps)
    subjects = {} if root_pid is None else collect_identities(source, {root_pid})
    return advise(gaps, place, subjects, again)


def explain_hidden(source: Source, pid: int, again: str) -> NotPermitted:
    """Return the error for a process that exists and that /proc hides."""
    from airmem.collect.gaps import gap  # noqa: PLC0415

    (advised,) = advise_here(source, (gap(pid, "process", "hidepid", ""),), again)
    return NotPermitted(f"process {pid} exists but /proc hides it (hidepid)", advised.remedy)
