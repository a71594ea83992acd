"""memray's own flame graph of a capture, made by memray's reporter."""

from __future__ import annotations

import os
import tempfile

from airmem.errors import NotMeasurable
from airmem.probes.runner import run_program

LEAST_DEADLINE_SECONDS = 600.0
BYTES_PER_SECOND = 100_000


def draw_flamegraph(path: str, python: str) -> bytes:
    """Return memray's flame graph of what was held at the peak, a page that needs no network.

    `python` has the memray that draws. Errors: NotMeasurable with memray's own words; ProgramMissing.
    """
    with tempfile.TemporaryDirectory(prefix="airmem-flamegraph-") as folder:
        page = os.path.join(folder, "flamegraph.html")
        completed = run_program(
            [python, "-m", "memray", "flamegraph", "--no-web", "-o", page, os.path.abspath(path)],
            deadline_seconds=LEAST_DEADLINE_SECONDS + os.path.getsize(path) / BYTES_PER_SECOND,
            cwd=folder,
        )
        if completed.status != 0 or not os.path.exists(page):
            said = completed.stderr.decode(errors="replace").strip().splitlines()
            cause = f"memray could not draw {path}: {said[-1] if said else f'status {completed.status}'}"
            raise NotMeasurable(cause, "Leave --flamegraph away; the tables do not need it.")
        with open(page, "rb") as file:
            return file.read()
