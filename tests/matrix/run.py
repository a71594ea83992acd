"""Run the ground truth of `airmem cow` with targets under every Python, and print a table: version x mode x figure.

    python -m tests.matrix.run [--only 3.13] [--modes gc,refcount] [--workers 1,8] [--no-debian]

airmem itself runs under this Python; the target in a chroot of Debian, or by an interpreter of pyenv or of
AIRMEM_MATRIX_PYTHONS (paths separated by colons). Needs root, for page frames and debootstrap. The cache is
AIRMEM_MATRIX_DIR, else /var/cache/airmem-matrix. Exit status 1 when an answer is wrong anywhere.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.live.conftest import ask, run_airmem
from tests.live.cow_modes import BY_NAME, HEAP_MB, MIB, Mode, cause_ratio, foresee, judge, run_mode, save
from tests.live.tree import Target
from tests.matrix.pythons import Interpreter, find_pythons

SEVERAL = 8
REFUSED = 5
Row = tuple[str, str]
"""A figure, and what is wrong with it (empty: nothing)."""


class Runner:
    """Starts targets under one interpreter, and ends them."""

    def __init__(self, python: Interpreter) -> None:
        self.python = python
        self.targets: list[Target] = []

    def start(self, name: str, *arguments: object) -> Target:
        """Start a program of tests/live/programs."""
        line = [*self.python.command, f"{self.python.folder}/{name}.py", *map(str, arguments)]
        process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.targets.append(Target(process))
        return self.targets[-1].wait_ready()

    def end(self) -> None:
        """End every target."""
        while self.targets:
            self.targets.pop().stop()

    def run(self, work: Callable[[], Row]) -> Row:
        """Do one measurement; whatever goes wrong is its row."""
        try:
            return work()
        except Exception as problem:
            return "-", f"{type(problem).__name__}: {problem}"
        finally:
            self.end()


def measure_mode(runner: Runner, mode: Mode, workers: int) -> Row:
    """Return how a mode came out."""
    look = run_mode(runner.start, ask, mode, workers)
    rows = [look.rows[pid] for pid in look.writers(mode)]
    copied = f"{max(row['copied_bytes'] for row in rows) / MIB:.1f} MiB"
    if mode.cause:
        copied += f", {min(cause_ratio(row, mode.cause) for row in rows):.1%} {mode.cause}"
    if mode.writer == "parent":
        copied += f", parent {max(row['copied_by_parent_bytes'] for row in rows) / MIB:.1f} MiB"
    return copied, "; ".join(judge(mode, look))


def measure_foresight(runner: Runner, workers: int) -> Row:
    """Return what was foretold, and how far it was off."""
    seen = foresee(runner.start, ask, workers)
    copied_bytes = sum(seen.copied.values())
    return f"{seen.tree_bytes / MIB:.1f} of {copied_bytes / MIB:.1f} MiB", "; ".join(seen.wrong())


def measure_saving(runner: Runner, workers: int) -> Row:
    """Return what gc.freeze was said to save, and what it saves."""
    seen = save(runner.start, ask, workers)
    figures = f"{seen.before_bytes / MIB:.1f}, {seen.after_bytes / MIB:.1f} of {seen.true_bytes / MIB:.1f} MiB"
    return figures, "; ".join(seen.wrong())


def measure_refusal(runner: Runner) -> Row:
    """Return whether a free-threaded build is told from others: no cause is made up."""
    target = runner.start("cow_tree", HEAP_MB)
    target.order("fork")
    target.order("collect all")
    done = run_airmem("heap", target.pid)
    answer = ask("cow", target.pid)
    known = sum(row["causes"][key] for row in answer["workers"] for key in row["causes"] if key != "unknown_bytes")
    wrong = "" if done.returncode == REFUSED and not known else f"heap ended with {done.returncode}, causes {known}"
    return "refused", wrong


def measure(python: Interpreter, modes: list[str], counts: list[int]) -> list[tuple[str, int, Row]]:
    """Return the rows of one interpreter: mode, workers, figure."""
    runner = Runner(python)
    if python.is_free_threaded:
        return [("free-threaded", 1, runner.run(lambda: measure_refusal(runner)))]
    others = {"at risk": measure_foresight, "freeze saves": measure_saving}
    found = []
    for name in modes:
        for workers in counts:
            if name in others:
                row = runner.run(lambda name=name, workers=workers: others[name](runner, workers))
            elif BY_NAME[name].needs_numpy and not python.has_numpy:
                row = ("no numpy there", "")
            else:
                row = runner.run(lambda name=name, workers=workers: measure_mode(runner, BY_NAME[name], workers))
            found.append((name, workers, row))
            show(python, *found[-1])
    return found


def show(python: Interpreter, name: str, workers: int, row: Row) -> None:
    """Print one row."""
    figure, wrong = row
    place = f"{python.version} ({python.origin})"
    print(f"{place:<22} {name:<16} {workers:>2}  {figure:<38} {'WRONG ' + wrong if wrong else 'ok'}", flush=True)


def main() -> int:
    """Run everything that was asked for."""
    names = [*BY_NAME, "at risk", "freeze saves"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="versions that begin so, separated by commas")
    parser.add_argument("--modes", default=",".join(names))
    parser.add_argument("--workers", default=f"1,{SEVERAL}")
    parser.add_argument("--no-debian", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: the truth is counted by page frames, which only root sees", file=sys.stderr)
        return 2
    cache = Path(os.environ.get("AIRMEM_MATRIX_DIR") or "/var/cache/airmem-matrix")
    pythons = find_pythons(cache, not options.no_debian)
    chosen = [one for one in pythons if one.version.startswith(tuple(options.only.split(",")))]
    began = time.monotonic()
    modes: list[str] = options.modes.split(",")
    rows: dict[Interpreter, list[tuple[str, int, Row]]] = {}
    for python in chosen:
        rows[python] = measure(python, modes, [int(count) for count in options.workers.split(",")])
        if python.is_free_threaded:
            show(python, *rows[python][0])
    return summarize(rows, time.monotonic() - began)


def summarize(rows: dict[Interpreter, list[tuple[str, int, Any]]], seconds: float) -> int:
    """Print how many were right by version; return the exit status."""
    print(f"\n{'python':<22} {'right':>5} {'of':>4}   ({seconds:.0f} s)")
    wrong_count = 0
    for python, found in rows.items():
        right = sum(1 for _, _, (_, wrong) in found if not wrong)
        wrong_count += len(found) - right
        print(f"{python.version + ' (' + python.origin + ')':<22} {right:>5} {len(found):>4}")
    return 1 if wrong_count or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
