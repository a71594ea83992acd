"""The document of `airmem heap` (docs/schema/heap.json), and back."""

from __future__ import annotations

from airmem.codec.document import SCHEMA_VERSION, Json, encode_head, fields_of
from airmem.errors import UsageProblem
from airmem.model.heap import EarlierHeap, HeapType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airmem.model.heap import HeapReport

MAKE_ONE = "Make one with: airmem heap TARGET --format json -o before.json"


def encode(report: HeapReport) -> Json:
    """Return the document."""
    left_out = ("head", "places", "change")
    document = {name: _encode_deep(value) for name, value in fields_of(report).items() if name not in left_out}
    for row, one in zip(document["processes"], report.processes, strict=True):
        process = row.pop("process")
        row.update({name: process[name] for name in ("pid", "parent_pid", "start_ticks")}, title=one.process.title)
    if report.places is not None:
        document["places"] = [
            {**fields_of(one), "start_address": f"{one.start_address:#x}", "end_address": f"{one.end_address:#x}"}
            for one in report.places
        ]
    if report.change is not None:
        document["diff"] = _encode_deep(report.change)
    return {**encode_head(report.head), **document}


def _encode_deep(value: Any) -> Any:
    """Return a noun with the nouns in it."""
    if isinstance(value, tuple):
        return [_encode_deep(one) for one in value]
    return {name: _encode_deep(one) for name, one in fields_of(value).items()} if hasattr(value, "__slots__") else value


def decode(document: Json) -> EarlierHeap:
    """Return what a later answer is compared with. Errors: UsageProblem when it is no document of `airmem heap`."""
    if not isinstance(document, dict) or document.get("command") != "heap":
        raise UsageProblem("the earlier answer is not a document of airmem heap --format json", MAKE_ONE)
    if document.get("schema_version") != SCHEMA_VERSION:
        raise UsageProblem(f"the earlier answer has schema version {document.get('schema_version')!r}", MAKE_ONE)
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
        raise UsageProblem(f"the earlier answer is incomplete: {problem!r}", MAKE_ONE) from problem
