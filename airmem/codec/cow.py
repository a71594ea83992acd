"""The document of `airmem cow` (docs/schema/cow.json)."""

from __future__ import annotations

from airmem.codec.document import Json, encode_head, encode_judgement, fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.cow import CollectorState, CowMapping, CowReport, CowWorker


def encode(report: CowReport) -> Json:
    """Return the document."""
    document = {
        **encode_head(report.head),
        "root_pid": report.root_pid,
        "parent_pid": report.parent_pid,
        "component": report.component,
        "collector": _encode_nested(report.collector),
        "free_block_bytes": report.free_block_bytes,
        "workers": [_encode_cow_worker(one) for one in report.workers],
        "forecast": fields_of(report.forecast),
        "coverage": None if report.coverage is None else fields_of(report.coverage),
        "remedies": [fields_of(one) for one in report.remedies],
        **encode_judgement(report.gaps, report.findings),
    }
    if (trial := report.verify_freeze) is not None:
        ways = [fields_of(one) for one in trial.ways]
        document["verify_freeze"] = {**fields_of(trial), "modules": list(trial.modules), "ways": ways}
    return document


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


def _encode_cow_mapping(mapping: CowMapping) -> Json:
    start, end = f"{mapping.start_address:#x}", f"{mapping.end_address:#x}"
    return {**fields_of(mapping), "start_address": start, "end_address": end}
