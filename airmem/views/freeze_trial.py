"""What gc.freeze saves on somebody's own imports, as blocks of a document."""

from __future__ import annotations

from airmem.units import format_bytes
from airmem.views.document import Column, Paragraph, Row, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.freeze_trial import FreezeTrial
    from airmem.views.document import Block

WAY = Column(name="name", header="BEFORE THE FORK", kind="text", meaning="what the parent does before it forks")
FROZEN = Column(name="frozen_count", header="FROZEN", kind="count", meaning="objects that the collector leaves alone")
COPIED = Column(name="copied_bytes", header="COPIED", kind="bytes", meaning="what a collection in the worker copies")

TOLD = {
    "as_it_is": "nothing",
    "freeze": "gc.freeze()",
    "collect_and_freeze": "gc.collect(); gc.freeze()",
}


def view_freeze_trial(trial: FreezeTrial) -> tuple[Block, ...]:
    """Return the blocks: what was tried, a row for each way, and what it saves."""
    modules = ", ".join(trial.modules)
    rows = tuple(
        Row(cells=(TOLD.get(one.name, one.name), one.frozen_count, one.copied_bytes), style="") for one in trial.ways
    )
    return (
        Paragraph(
            text=f"Tried with {trial.python} (Python {trial.python_version}): {modules} imported, "
            f"{format_bytes(trial.anonymous_bytes)} of private memory, one worker forked, one full collection in it.",
            hang=2,
        ),
        Table(name="verify_freeze", columns=(WAY, FROZEN, COPIED), rows=rows),
        Paragraph(
            text=f"gc.freeze() saves {format_bytes(trial.saves_bytes)} for each worker that collects.", style="strong"
        ),
    )
