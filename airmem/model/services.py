"""The answer to "what runs here?"."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.finding import Finding
    from airmem.model.gap import Gap
    from airmem.model.process import Process
    from airmem.model.report import Head


@noun
class ServiceRow:
    """One process of a service, or with `--all` of another Python program: then `service` and `component` are None.

    `depth` counts from the tree's root, 0. `started_at_seconds` are since 1970, None where the boot time is unknown.
    `rss_bytes` is the kernel's own counter (stat), which lags by some pages. `container_id` is empty outside one.
    """

    process: Process
    service: str | None
    component: str | None
    role: str
    activity: str
    start_method: str
    depth: int
    children_count: int
    started_at_seconds: float | None
    up_seconds: float | None
    rss_bytes: int
    container_id: str


@noun
class PsReport:
    """The answer to "what runs here?": trees one after the other, parents before their children."""

    head: Head
    services: tuple[ServiceRow, ...]
    gaps: tuple[Gap, ...]
    findings: tuple[Finding, ...]
