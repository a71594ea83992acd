"""Model to JSON-ready values and back. Keys are the model's field names; unknown is null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airmem._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from airmem.model.cgroup import CgroupMemory
    from airmem.model.change import RoleChange, TreeChange
    from airmem.model.combined import CombinedReport
    from airmem.model.cow import CollectorState, CowMapping, CowReport, CowWorker
    from airmem.model.environment import Ability, DoctorReport, Environment, Identity, TargetFacts
    from airmem.model.heap import EarlierHeap, HeapPlace, HeapReport
    from airmem.model.lineup import LinedUpMapping
    from airmem.model.report import Head, ProcessRow, PssReport
    from airmem.model.services import PsReport, ServiceRow

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
    document = {
        **encode_head(report.head),
        "depth": report.depth,
        "tree": {
            **fields_of(report.tree),
            "root_pid": report.tree.root_pid or None,
            "cgroup": encode_cgroup(report.cgroup),
        },
        "processes": [encode_row(row) for row in report.processes],
        "gaps": [fields_of(gap) for gap in report.gaps],
        "findings": [fields_of(finding) for finding in report.findings],
    }
    if report.lineup is not None:
        document["mappings"] = encode_lineup(report.lineup)
    if report.change is not None:
        document["diff"] = encode_change(report.change)
    return document


def encode_combined(report: CombinedReport) -> Json:
    """Return the document of `airmem pss` about several captures: ordinary documents, and their sums."""
    return {
        "schema_version": SCHEMA_VERSION,
        "airmem_version": __version__,
        "command": "pss",
        "files": list(report.names),
        "captures": [encode_pss(one) for one in report.reports],
        "combined": fields_of(report.combined),
    }


def encode_report(report: PssReport | PsReport | DoctorReport | CombinedReport | CowReport | HeapReport) -> Json:
    """Return the document of any answer, by its command."""
    if not hasattr(report, "head"):
        return encode_combined(report)
    encoders: dict[str, Callable[[Any], Json]] = {
        "ps": encode_ps,
        "pss": encode_pss,
        "doctor": encode_doctor,
        "cow": encode_cow,
        "heap": encode_heap,
    }
    return encoders[report.head.command](report)


def encode_cow(report: CowReport) -> Json:
    """Return the document of `airmem cow` (docs/schema/cow.json)."""
    return {
        **encode_head(report.head),
        "root_pid": report.root_pid,
        "component": report.component,
        "collector": _encode_nested(report.collector),
        "workers": [_encode_cow_worker(one) for one in report.workers],
        "forecast": fields_of(report.forecast),
        "coverage": None if report.coverage is None else fields_of(report.coverage),
        "remedies": [fields_of(one) for one in report.remedies],
        "gaps": [fields_of(gap) for gap in report.gaps],
        "findings": [fields_of(finding) for finding in report.findings],
    }


def _encode_cow_worker(worker: CowWorker) -> Json:
    fields = {name: value for name, value in fields_of(worker).items() if name not in ("process", "runs")}
    process = worker.process
    return {
        "pid": process.pid,
        "parent_pid": process.parent_pid,
        "start_ticks": process.start_ticks,
        "title": process.title,
        **fields,
        "causes": None if worker.causes is None else fields_of(worker.causes),
        "writes": None if worker.writes is None else fields_of(worker.writes),
        "types": [fields_of(one) for one in worker.types],
        "collector": _encode_nested(worker.collector),
        "mappings": [_encode_cow_mapping(one) for one in worker.mappings],
    }


def _encode_nested(collector: CollectorState | None) -> Json | None:
    if collector is None:
        return None
    return {**fields_of(collector), "generations": [fields_of(one) for one in collector.generations]}


def _encode_cow_mapping(mapping: CowMapping | HeapPlace) -> Json:
    start, end = f"{mapping.start_address:#x}", f"{mapping.end_address:#x}"
    return {**fields_of(mapping), "start_address": start, "end_address": end}


def encode_heap(report: HeapReport) -> Json:
    """Return the document of `airmem heap` (docs/schema/heap.json)."""
    left_out = ("head", "places", "change")
    document = {name: _encode_deep(value) for name, value in fields_of(report).items() if name not in left_out}
    for row, one in zip(document["processes"], report.processes, strict=True):
        process = row.pop("process")
        row.update({name: process[name] for name in ("pid", "parent_pid", "start_ticks")}, title=one.process.title)
    if report.places is not None:
        document["places"] = [_encode_cow_mapping(one) for one in report.places]
    if report.change is not None:
        document["diff"] = _encode_deep(report.change)
    return {**encode_head(report.head), **document}


def _encode_deep(value: Any) -> Any:
    """Return a noun with the nouns in it."""
    if isinstance(value, tuple):
        return [_encode_deep(one) for one in value]
    return {name: _encode_deep(one) for name, one in fields_of(value).items()} if hasattr(value, "__slots__") else value


def decode_heap(document: Json) -> EarlierHeap:
    """Return what a later answer is compared with. Errors: UsageProblem when it is no document of `airmem heap`."""
    from airmem.errors import UsageProblem  # noqa: PLC0415
    from airmem.model.heap import EarlierHeap, HeapType  # noqa: PLC0415

    remedy = "Make one with: airmem heap TARGET --format json -o before.json"
    if not isinstance(document, dict) or document.get("command") != "heap":
        raise UsageProblem("the earlier answer is not a document of airmem heap --format json", remedy)
    if document.get("schema_version") != SCHEMA_VERSION:
        raise UsageProblem(f"the earlier answer has schema version {document.get('schema_version')!r}", remedy)
    try:
        types = tuple(
            HeapType(
                type=str(one["type"]),
                count=int(one["count"]),
                shallow_bytes=int(one["shallow_bytes"]),
                tracked_count=None,
            )
            for one in document["types"]
        )
        return EarlierHeap(
            taken_at_seconds=float(document["taken_at_seconds"]),
            hostname=str(document["host"]["hostname"]),
            root_pid=int(document["root_pid"]),
            types=types,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as problem:
        raise UsageProblem(f"the earlier answer is incomplete: {problem!r}", remedy) from problem


def encode_ps(report: PsReport) -> Json:
    """Return the document of `airmem ps` (docs/schema/ps.json)."""
    return {
        **encode_head(report.head),
        "services": [encode_service(row) for row in report.services],
        "gaps": [fields_of(gap) for gap in report.gaps],
        "findings": [fields_of(finding) for finding in report.findings],
    }


def encode_service(row: ServiceRow) -> Json:
    """Return one process of `airmem ps`."""
    process = row.process
    return {
        "service": row.service,
        "component": row.component,
        "role": row.role,
        "pid": process.pid,
        "parent_pid": process.parent_pid,
        "start_ticks": process.start_ticks,
        "depth": row.depth,
        "title": process.title,
        "activity": row.activity,
        "children_count": row.children_count,
        "started_at_seconds": row.started_at_seconds,
        "up_seconds": row.up_seconds,
        "rss_bytes": row.rss_bytes,
        "start_method": row.start_method,
        "container_id": row.container_id or None,
        "state": process.state,
    }


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


def encode_doctor(report: DoctorReport) -> Json:
    """Return the document of `airmem doctor` (docs/schema/doctor.json)."""
    return {
        **encode_head(report.head),
        "environment": _encode_environment(report.environment),
        "target": None if report.target is None else _encode_target(report.target),
        "commands": [_encode_ability(one) for one in report.abilities],
        "gaps": [fields_of(gap) for gap in report.gaps],
        "findings": [fields_of(finding) for finding in report.findings],
    }


def _encode_environment(environment: Environment) -> Json:
    place = fields_of(environment.place)
    return {
        "kernel": fields_of(environment.kernel),
        "place": {**place, "identity": _encode_identity(environment.place.identity)},
        "programs": [fields_of(one) for one in environment.programs],
        "cgroup_version": environment.cgroup_version,
        "has_memory_account": environment.has_memory_account,
    }


def _encode_identity(identity: Identity) -> Json:
    from airmem.model.capability import capability_names  # noqa: PLC0415  # only for airmem doctor

    fields = fields_of(identity)
    masks = {name: list(capability_names(value)) for name, value in fields.items() if name.endswith("_capabilities")}
    return {**fields, **masks, "is_dumpable": identity.is_dumpable}


def _encode_target(target: TargetFacts) -> Json:
    process, identity = target.process, target.identity
    return {
        "pid": target.pid,
        "start_ticks": process.start_ticks if process else None,
        "title": process.title if process else None,
        "identity": _encode_identity(identity) if identity else None,
        **{name: getattr(target, name) for name in TARGET_FIELDS},
    }


TARGET_FIELDS = ("container_id", "user_namespace", "pid_namespace", "files", "reason", "detail", "python_version",
                 "python_evidence")  # fmt: skip


def _encode_ability(ability: Ability) -> Json:
    possible: bool | str = {"yes": True, "no": False}.get(ability.possible, ability.possible)
    return {
        "command": ability.command,
        "depth": ability.depth,
        "capability": ability.capability,
        "possible": possible,
        "reason": ability.reason,
        "cause": ability.cause,
        "remedy": ability.remedy.text,
        "line": ability.remedy.line,
        "lasting": ability.remedy.lasting,
    }


def encode_cgroup(cgroup: CgroupMemory | None) -> Json | None:
    """Return the account of a control group."""
    return None if cgroup is None else fields_of(cgroup)


def fields_of(value: Any) -> Json:
    """Return a flat noun's fields by name, in order."""
    return {name: getattr(value, name) for name in value.__slots__}


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
