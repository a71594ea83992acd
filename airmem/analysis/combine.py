"""Sums over several captures: a process that is in two of them is counted once."""

from __future__ import annotations

from airmem.model.combined import CombinedTotals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from airmem.model.memory import MemoryAccount
    from airmem.model.report import PssReport

Key: TypeAlias = "tuple[str, str, int, int]"
"""What tells a process from all others anywhere: boot id, pid namespace, start in ticks, pid."""


def combine_totals(reports: tuple[PssReport, ...], unread_count: int = 0) -> CombinedTotals:
    """Return the sums over all processes of some answers; `unread_count` files gave none."""
    accounts: dict[Key, MemoryAccount] = {}
    row_count = 0
    for number, report in enumerate(reports):
        host = report.head.host
        boot_id = host.boot_id or f"file {number}"  # a copy without it could be of any machine
        for row in report.processes:
            key = (boot_id, host.pid_namespace, row.process.start_ticks, row.process.pid)
            row_count += 1
            if key not in accounts or accounts[key].pss_bytes is None:
                accounts[key] = row.account
    found = accounts.values()
    swapped = [one.swap_pss_bytes for one in found if one.swap_pss_bytes is not None]
    return CombinedTotals(
        capture_count=len(reports),
        unread_count=unread_count,
        process_count=len(accounts),
        repeated_count=row_count - len(accounts),
        rss_sum_bytes=sum(one.rss_bytes or 0 for one in found),
        pss_sum_bytes=sum(one.pss_bytes or 0 for one in found),
        uss_sum_bytes=sum(one.uss_bytes or 0 for one in found),
        swap_pss_sum_bytes=sum(swapped) if swapped else None,
        is_lower_bound=bool(unread_count) or any(_lacks_something(report) for report in reports),
    )


def _lacks_something(report: PssReport) -> bool:
    """Whether sums that one answer does not know, or only in part, are sums of others."""
    sums = (report.tree.rss_sum_bytes, report.tree.pss_sum_bytes, report.tree.uss_sum_bytes)
    return report.tree.is_lower_bound or None in sums
