"""Measure how copy-on-write breaks in Python: the figures that docs/explanation/copy-on-write.md quotes.

    make cow-story                                    print them
    python docs/cow_story.py -o docs/examples/cow-story.txt    print them, and keep them for the page

It starts trees of tests/live/programs/cow_tree.py (a parent with objects and buffers, four workers), has workers do one
thing at a time, and asks airmem and the kernel before and after. Any user may run it; it takes about half a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.live.oracle import read_rollup  # noqa: E402
from tests.live.tree import Target  # noqa: E402

PROGRAM = ROOT / "tests/live/programs/cow_tree.py"
MIB = 1 << 20
HEAP_MB, WORKERS = 96, 4
CAUSES = ("gc", "refcount", "data")


class Story:
    """One tree, and lines about it."""

    def __init__(self, *options: str) -> None:
        line = [sys.executable, str(PROGRAM), str(HEAP_MB), *options]
        process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.target = Target(process).wait_ready()
        for _ in range(WORKERS):
            self.target.order("fork")
        self.workers: list[int] = self.target.truth["workers"]

    def ask(self) -> Any:
        """Return airmem's answer."""
        line = [sys.executable, "-m", "airmem", "cow", str(self.target.pid), "--format", "json"]
        done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=ROOT)
        return json.loads(done.stdout)

    def tell(self, what: str) -> str:
        """Return a line about the first worker and one about the tree."""
        answer = self.ask()
        row = next(one for one in answer["workers"] if one["pid"] == self.workers[0])
        kernel = read_rollup(self.workers[0])
        causes = ", ".join(f"{cause} {row['causes'][f'{cause}_bytes'] / MIB:.1f}" for cause in CAUSES)
        return (
            f"{what}\n"
            f"  kernel   RSS {kernel['Rss'] / MIB:6.1f}   PSS {kernel['Pss'] / MIB:6.1f}"
            f"   private {kernel['Private_Dirty'] / MIB:6.1f}   tree's PSS {self.tree_pss() / MIB:6.1f}\n"
            f"  airmem   copied {row['copied_bytes'] / MIB:5.1f} ({causes})"
            f"   by the parent {row['copied_by_parent_bytes'] / MIB:.1f}   at risk {row['at_risk_bytes'] / MIB:.1f}\n"
        )

    def tree_pss(self) -> int:
        """Return the PSS of all processes."""
        return sum(read_rollup(pid)["Pss"] for pid in self.target.tree)

    def types(self, cause: str) -> str:
        """Return a line about the types that a cause wrote to, beside the true counts."""
        row = next(one for one in self.ask()["workers"] if one["pid"] == self.workers[0])
        found = {one["type"].rpartition(".")[2]: one["word_count"] for one in row["types"] if one["cause"] == cause}
        true = self.target.truth["counts"]
        return "".join(f"  {name:<6} {found.get(name, 0):,} counted, {true[name]:,} true\n" for name in true)


def told() -> str:
    """Return the whole story."""
    python = ".".join(map(str, sys.version_info[:3]))
    lines = [f"Python {python}, Linux {os.uname().release.split('-')[0]}; the first of {WORKERS} workers; MiB\n"]
    plain = Story()
    try:
        lines.append(plain.tell("1. after the fork"))
        plain.target.order("collect first")
        lines.append(plain.tell("2. one full collection in it"))
        plain.target.order("collect all")
        lines.append(plain.tell("3. one in every worker"))
    finally:
        plain.target.stop()
    frozen = Story("freeze")
    try:
        lines.append(frozen.tell(f"4. gc.freeze() before the fork: {frozen.target.truth['frozen_count']:,} frozen"))
        frozen.target.order("collect all")
        lines.append(frozen.tell("5. one collection in every worker"))
        frozen.target.order("refer all")
        lines.append(frozen.tell("6. every worker refers to every object"))
        lines.append("   reference counts written, by type\n" + frozen.types("refcount"))
    finally:
        frozen.target.stop()
    busy = Story()
    try:
        busy.target.order("collect parent")
        lines.append(busy.tell("7. without gc.freeze(), a collection in the parent only"))
    finally:
        busy.target.stop()
    return "\n".join(lines)


def main() -> None:
    """Print the story."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    text = told()
    print(text, end="")
    if options.output:
        options.output.write_text(f"```text\n{text.rstrip()}\n```\n", encoding="utf-8")


if __name__ == "__main__":
    main()
