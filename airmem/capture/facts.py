"""What a capture tells beside the bytes of files: who read them, what was refused, where links pointed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise

from airmem.errors import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FORMAT = "airmem-capture"
FORMAT_VERSION = 1
PLACE = "airmem/place.json"
FINAL = "airmem.json"
MOST_NUMBER = 1 << 64
Runs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and by whom a capture was made; written before the first process.

    `tree_pids` are the processes that were to be captured. `links` and `errors` (errno) are by path, without the first
    slash; `present` are files that were there, no matter what is in them. `zero_frames` is None without page tables.
    """

    taken_at_seconds: float
    root_pids: tuple[int, ...]
    tree_pids: tuple[int, ...]
    own_pid: int
    own_user_id: int
    page_bytes: int
    byte_order: str
    has_frames: bool
    zero_frames: Runs | None
    present: tuple[str, ...]
    links: dict[str, str]
    errors: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """What is known of a process beside its files; written after them.

    `owner_uid` owns its files, None if it had ended. `links` and `errors` (errno) are by the name of the file, `same`
    names a file with the same bytes elsewhere in the capture, `runs` the pages (first, count) that pagemap has.
    """

    pid: int
    owner_uid: int | None
    links: dict[str, str]
    errors: dict[str, int]
    same: dict[str, str]
    runs: Runs


def parse_place(members: dict[str, bytes], name: str) -> Place:
    """Return where a capture was made. Errors: Malformed."""
    if PLACE not in members:
        what = "was cut before the first process" if any(one.startswith("proc/") for one in members) else "is empty"
        raise Malformed(f"{name}: no capture, or one that {what}: it has no {PLACE}", "Make it again.")
    facts = _Facts(members[PLACE], f"{name}: {PLACE}")
    if facts.take("format", _text) != FORMAT:
        raise facts.malformed("format")
    version = facts.take("format_version", _number)
    if version != FORMAT_VERSION:
        raise Malformed(f"{name}: format version {version}; this airmem reads {FORMAT_VERSION}", "Update airmem.")
    has_tables = facts.take("zero_frames", _anything) is not None
    return Place(
        taken_at_seconds=facts.take("taken_at_seconds", _seconds),
        root_pids=facts.take("root_pids", _numbers),
        tree_pids=facts.take("tree_pids", _numbers),
        own_pid=facts.take("own_pid", _number),
        own_user_id=facts.take("own_user_id", _number),
        page_bytes=facts.take("page_bytes", _number),
        byte_order=facts.take("byte_order", _text),
        has_frames=bool(facts.take("has_frames", _number)),
        zero_frames=facts.take("zero_frames", _runs) if has_tables else None,
        present=facts.take("present", _texts),
        links=facts.take("links", _texts_by_name),
        errors=facts.take("errors", _numbers_by_name),
    )


def parse_process(members: dict[str, bytes], path: str, name: str) -> ProcessFacts:
    """Return what is known of a process. Errors: Malformed."""
    facts = _Facts(members[path], f"{name}: {path}")
    owned = facts.take("owner_uid", _anything) is not None
    found = ProcessFacts(
        pid=facts.take("pid", _number),
        owner_uid=facts.take("owner_uid", _number) if owned else None,
        links=facts.take("links", _texts_by_name),
        errors=facts.take("errors", _numbers_by_name),
        same=facts.take("same", _texts_by_name),
        runs=facts.take("runs", _runs),
    )
    if path != f"airmem/{found.pid}.json":
        raise facts.malformed("pid")
    return found


def parse_final(members: dict[str, bytes], name: str) -> float | None:
    """Return how long capturing took, in seconds; None when the capture was cut short. Errors: Malformed."""
    if FINAL not in members:
        return None
    facts = _Facts(members[FINAL], f"{name}: {FINAL}")
    if facts.take("format", _text) != FORMAT:
        raise facts.malformed("format")
    took_seconds: float = facts.take("took_seconds", _seconds)
    return took_seconds


class _Facts:
    """One JSON object, whose values are taken by name and kind."""

    def __init__(self, raw: bytes, where: str) -> None:
        self._where = where
        try:
            values = json.loads(raw)
        except (ValueError, RecursionError) as problem:
            raise Malformed(f"{where}: no JSON: {problem}") from problem
        if not isinstance(values, dict):
            raise Malformed(f"{where}: not an object")
        self._values: dict[str, Any] = values

    def take(self, key: str, convert: Callable[[Any], Any]) -> Any:
        """Return the value of a key. Errors: Malformed when it is missing or of another kind."""
        try:
            return convert(self._values[key])
        except (KeyError, TypeError, ValueError, OverflowError) as problem:
            raise self.malformed(key) from problem

    def malformed(self, key: str) -> Malformed:
        """Return the error that says which key is wrong."""
        return Malformed(f"{self._where}: {key!r} is missing or not what it should be")


def _anything(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < MOST_NUMBER:
        raise TypeError(value)
    return int(value)


def _seconds(value: Any) -> float:
    seconds = float(value) if isinstance(value, int | float) else -1.0
    if not 0 <= seconds < MOST_NUMBER:
        raise ValueError(value)
    return seconds


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(_number(one) for one in _sequence(value))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(one) for one in _sequence(value))


def _runs(value: Any) -> Runs:
    """Return (first, count) pairs that ascend."""
    runs = tuple((_number(first), _number(count)) for first, count in _sequence(value))
    if any(first + count > following for (first, count), (following, _) in pairwise(runs)):
        raise ValueError(value)
    return runs


def _texts_by_name(value: Any) -> dict[str, str]:
    return {name: _text(one) for name, one in _mapping(value).items()}


def _numbers_by_name(value: Any) -> dict[str, int]:
    return {name: _number(one) for name, one in _mapping(value).items()}


def _sequence(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return value
