"""Answers about files of other tools, one of each format."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

from airmem.capture.foreign.recognize import read_any
from airmem.questions.pss import answer_pss
from airmem.questions.targets import resolve_target
from airmem.render import as_text
from airmem.views.pss import view_pss

CAPTURES = Path(__file__).parents[1] / "captures"
FILES = {
    "pmap": "weird-python/pmap-procps-4.0.7plain",
    "pmap-x": "weird-python/pmap-procps-4.0.7-x",
    "pmap-X": "weird-python/pmap-procps-3.3.17-X",
    "pmap-XX": "swapped-pair/parent/pmap-procps-4.0.7-XX",
    "pmap-d": "bash/pmap-procps-4.0.2-d",
    "pmap-q": "bash/pmap-procps-4.0.4-q",
    "pmap-of-three": "other-tools/pmap-procps-4.0.2-X",
    "busybox-pmap": "bash/pmap-busybox-1.37.0plain",
    "busybox-pmap-x": "weird-python/pmap-busybox-1.37.0-x",
    "smaps": "swapped-pair/child/smaps",
    "smaps_rollup": "swapped-pair/child/smaps_rollup",
    "smaps-of-gvisor": "gvisor-pair/child/smaps",
    "smemcap": "other-tools/smemcap.tar.gz",
}
WITH_MAPPINGS = ("pmap-x", "busybox-pmap-x", "smaps", "smaps_rollup")


def answers_of_files() -> dict[str, str]:
    """Return each text by the name of its file."""
    found = {f"{name}.txt": _answer((CAPTURES / path).read_bytes(), False) for name, path in FILES.items()}
    found.update(
        {f"{name}-mappings.txt": _answer((CAPTURES / FILES[name]).read_bytes(), True) for name in WITH_MAPPINGS}
    )
    cut = b"".join((CAPTURES / FILES["pmap-x"]).read_bytes().splitlines(keepends=True)[:60])
    return {**found, "pmap-x-cut.txt": _answer(cut, False)}


def _answer(raw: bytes, with_mappings: bool) -> str:
    source = read_any(BytesIO(raw), "FILE", 0.0)
    report = answer_pss(resolve_target(None, source), source=source, with_mappings=with_mappings)
    report = replace(report, head=replace(report.head, took_seconds=0.0))
    return as_text.render(view_pss(report)).rstrip("\n")
