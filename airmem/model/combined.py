"""Several captures together."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.report import PssReport


@noun
class CombinedTotals:
    """Sums over several captures, in bytes, each process counted once; None is unknown.

    `unread_count` files could not be read. `repeated_count` is how often a process was found again.
    """

    capture_count: int
    unread_count: int
    process_count: int
    repeated_count: int
    rss_sum_bytes: int
    pss_sum_bytes: int
    uss_sum_bytes: int
    swap_pss_sum_bytes: int | None
    is_lower_bound: bool


@noun
class CombinedReport:
    """The answers of several captures, by the names of their files, and the sums over all."""

    names: tuple[str, ...]
    reports: tuple[PssReport, ...]
    combined: CombinedTotals
