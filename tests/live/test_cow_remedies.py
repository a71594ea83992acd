"""What a remedy is said to save, against the same tree with the remedy applied."""

from __future__ import annotations

import pytest

from tests.live.conftest import Start, ask
from tests.live.oracle import read_rollup
from tests.live.tree import Target

MIB = 1 << 20
WORKERS = 3
LEAST_RATIO, MOST_RATIO = 0.6, 1.1
"""What importing writes to inherited pages is saved besides, and is not part of the figure."""

pytestmark = pytest.mark.usefixtures("page_frames")


def anonymous_bytes(target: Target) -> int:
    """Return the anonymous memory of a whole tree, each page once."""
    return sum(read_rollup(pid)["Pss_Anon"] for pid in target.tree)


def foretold(target: Target) -> dict[str, int]:
    return {one["name"]: one["saves_bytes"] for one in ask("cow", target.pid)["remedies"]}


@pytest.mark.parametrize(
    ("method", "name"), [("fork", "import before fork"), ("spawn", "fork instead of spawn"), ("forkserver", "")]
)
def test_what_imports_before_the_fork_save(start: Start, method: str, name: str):
    late = start("late_imports", method, "after", WORKERS)
    said = foretold(late)
    before_bytes = anonymous_bytes(late)
    if method == "forkserver":  # its workers are forked, from a process that must be told what to import
        assert "import before fork" in said
        assert "fork instead of spawn" not in said
        return
    early = start("late_imports", "fork", "before", WORKERS)
    saved_bytes = before_bytes - anonymous_bytes(early)
    assert said[name] > 4 * MIB
    assert LEAST_RATIO * saved_bytes < said[name] < MOST_RATIO * saved_bytes
    assert not {"import before fork", "fork instead of spawn"} & foretold(early).keys()
