"""Model to JSON-ready values and back. Keys are the model's field names; unknown is null."""

from __future__ import annotations

from typing import Any

from airmem._version import __version__
from airmem.model.cgroup import CgroupMemory
from airmem.model.report import Head, ProcessRow, PssReport

SCHEMA_VERSION = 1

Json = dict[str, Any]


def encode_head(head: Head) -> Json:
    """Return what every document begins with."""
    return {
        "schema_version": SCHEMA_VERSION,
        "airmem_version": __version__,
        "command": head.command,
        "taken_at_seconds": head.taken_at_seconds,
        "took_seconds": round(head.took_seconds, 6),
        "host": fields_of(head.host),
    }


def encode_pss(report: PssReport) -> Json:
    """Return the document of `airmem pss` (docs/schema/pss.json)."""
    return {
        **encode_head(report.head),
        "depth": report.depth,
        "tree": {**fields_of(report.tree), "cgroup": encode_cgroup(report.cgroup)},
        "processes": [encode_row(row) for row in report.processes],
        "gaps": [fields_of(gap) for gap in report.gaps],
        "findings": [fields_of(finding) for finding in report.findings],
    }


def encode_row(row: ProcessRow) -> Json:
    """Return one process of `airmem pss`."""
    process, account = row.process, row.account
    return {
        "pid": process.pid,
        "parent_pid": process.parent_pid,
        "start_ticks": process.start_ticks,
        "depth": row.depth,
        "role": row.role,
        "component": row.component,
        "title": process.title,
        "rss_bytes": account.rss_bytes,
        "pss_bytes": account.pss_bytes,
        "uss_bytes": account.uss_bytes,
        "private_clean_bytes": account.private_clean_bytes,
        "private_dirty_bytes": account.private_dirty_bytes,
        "shared_clean_bytes": account.shared_clean_bytes,
        "shared_dirty_bytes": account.shared_dirty_bytes,
        "pss_anon_bytes": account.pss_anon_bytes,
        "pss_file_bytes": account.pss_file_bytes,
        "pss_shmem_bytes": account.pss_shmem_bytes,
        "swap_bytes": account.swap_bytes,
        "swap_pss_bytes": account.swap_pss_bytes,
        "hugetlb_bytes": account.hugetlb_bytes,
        "sharing": None if row.sharing is None else fields_of(row.sharing),
    }


def encode_cgroup(cgroup: CgroupMemory | None) -> Json | None:
    """Return the account of a control group."""
    return None if cgroup is None else fields_of(cgroup)


def fields_of(value: Any) -> Json:
    """Return a flat noun's fields by name, in order."""
    return {name: getattr(value, name) for name in value.__slots__}
