"""What the tests of hang-dump share: start a case, ask, and compare with what is known of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import jsonschema

from tests.live.conftest import ask
from tests.unit.test_docs import DOCS, close

SCHEMA = json.loads((DOCS / "schema/hang-dump.json").read_text(encoding="utf-8"))
CLOSED = json.loads(json.dumps(SCHEMA), object_hook=close)
"""The schema, with no key that it does not name: each answer of these tests is held to it."""

HEALTHY = ("idle", "running")
CALM = (*HEALTHY, "event_wait", "sleep")


@dataclass
class Told:
    """One answer: the threads of the tree, and what it all hangs on."""

    answer: dict[str, Any]
    truth: dict[str, Any] = field(default_factory=dict)

    def process(self, pid: int) -> Any:
        """Return one process."""
        return next(one for one in self.answer["processes"] if one["pid"] == pid)

    def thread(self, name: str = "MainThread", pid: int | None = None) -> Any:
        """Return a thread by its name, by default the main one of the target."""
        process = self.process(pid or self.truth["pid"])
        return next(one for one in process["threads"] if one["name"] == name)

    @property
    def threads(self) -> list[Any]:
        """Every thread of the tree."""
        return [thread for process in self.answer["processes"] for thread in process["threads"]]

    @property
    def root_causes(self) -> list[tuple[str, int]]:
        """The category and pid of each root cause."""
        return [(one["category"], one["pid"]) for one in self.answer["root_causes"]]

    @property
    def patterns(self) -> list[str]:
        """The codes of the known hangs."""
        return [one["code"] for one in self.answer["patterns"]]


def look_at(target: Any, *options: object) -> Told:
    """Ask hang-dump about a started case."""
    answer = ask("hang-dump", target.pid, "--window", "0.5", *options)
    jsonschema.validate(answer, CLOSED, jsonschema.Draft202012Validator)
    return Told(answer, target.truth)


def assert_thread(thread: Any, category: str, **evidence: object) -> None:
    """Compare a thread with what is known; a name that ends with `_` is any value but none."""
    assert thread["category"] == category, thread
    for key, value in evidence.items():
        if key.endswith("_"):
            assert thread["evidence"].get(key[:-1]), (key, thread["evidence"])
        else:
            assert thread["evidence"].get(key) == value, (key, thread["evidence"])
