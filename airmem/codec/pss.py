"""The document of `airmem pss` (docs/schema/pss.json), and back: an earlier one is compared with a new one."""

from __future__ import annotations

from airmem.codec.document import SCHEMA_VERSION, Json, encode_head, encode_judgement, fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.cgroup import CgroupMemory
    from airmem.model.change import RoleChange, TreeChange
    from airmem.model.lineup import LinedUpMapping
    from airmem.model.report import ProcessRow, PssReport


def encode(report: PssReport) -> Json:
    """Return the document."""
    document = {
        **encode_head(report.head),
        "depth": report.depth,
        "tree": {
            **fields_of(report.tree),
            "root_pid": report.tree.root_pid or None,
            "cgroup": encode_cgroup(report.cgroup),
        },
        "processes": [encode_row(row) for row in report.processes],
        **encode_judgement(report.gaps, report.findings),
    }
    if report.lineup is not None:
        document["mappings"] = encode_lineup(report.lineup)
    if report.change is not None:
        document["diff"] = encode_change(report.change)
    return document


def encode_row(row: ProcessRow) -> Json:
    """Return one process of `airmem pss`."""
    process, account = row.process, row.account
    return {
        "pid": process.pid or None,
        "parent_pid": None if process.is_untold else process.parent_pid,
        "start_ticks": None if process.is_untold else process.start_ticks,
        "depth": row.depth,
        "role": row.role,
        "component": row.component,
        "title": process.title if process.arguments or not process.is_untold else None,
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


def encode_lineup(mappings: tuple[LinedUpMapping, ...]) -> list[Json]:
    """Return the mappings of `airmem pss --mappings`; addresses are hexadecimal texts."""
    return [
        {
            **fields_of(one),
            "start_address": f"{one.start_address:#x}",
            "end_address": f"{one.end_address:#x}",
            "workers": [fields_of(worker) for worker in one.workers],
        }
        for one in mappings
    ]


def encode_change(change: TreeChange) -> Json:
    """Return what `airmem pss --diff` adds."""
    return {
        "before_taken_at_seconds": change.before_taken_at_seconds,
        "before_hostname": change.before_hostname,
        "roles": [_encode_role(one) for one in change.roles],
        "total": _encode_role(change.total),
    }


def _encode_role(change: RoleChange) -> Json:
    return {
        "component": change.component,
        "role": change.role,
        "before": None if change.before is None else fields_of(change.before),
        "after": None if change.after is None else fields_of(change.after),
    }


def decode_pss(document: Json) -> tuple[float, str, tuple[ProcessRow, ...]]:
    """Return (taken at seconds, hostname, processes) of an earlier document of `airmem pss`.

    Errors: UsageProblem when it is something else, or of a schema that this version does not know.
    """
    from airmem.errors import UsageProblem  # noqa: PLC0415

    remedy = "Make one with: airmem pss TARGET --format json -o before.json"
    if not isinstance(document, dict) or document.get("command") != "pss":
        raise UsageProblem("the earlier answer is not a document of airmem pss --format json", remedy)
    if document.get("schema_version") != SCHEMA_VERSION:
        raise UsageProblem(f"the earlier answer has schema version {document.get('schema_version')!r}", remedy)
    try:
        rows = tuple(_decode_row(row) for row in document["processes"])
        return float(document["taken_at_seconds"]), str(document["host"]["hostname"]), rows
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as problem:
        raise UsageProblem(f"the earlier answer is incomplete: {problem!r}", remedy) from problem


def _decode_row(row: Json) -> ProcessRow:
    from dataclasses import fields  # noqa: PLC0415

    from airmem.model.memory import MemoryAccount  # noqa: PLC0415
    from airmem.model.process import Process  # noqa: PLC0415
    from airmem.model.report import ProcessRow  # noqa: PLC0415

    sizes = {name: row.get(name) for name in (field.name for field in fields(MemoryAccount))}
    for name, value in sizes.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise ValueError(f"{name} is not a number of bytes")
    process = Process(
        pid=int(row["pid"] or 0),
        parent_pid=int(row["parent_pid"] or 0),
        start_ticks=int(row["start_ticks"] or 0),
        command="",
        state="?",
        session_id=0,
        flags=0,
        thread_count=0,
        rss_pages=0,
        arguments=(str(row["title"] or "?"),),
    )
    return ProcessRow(
        process=process,
        depth=str(row["depth"]),
        role=str(row["role"]),
        component=None if row["component"] is None else str(row["component"]),
        account=MemoryAccount(**sizes),
        sharing=None,
        user_id=None,
    )
