"""What `airmem heap` costs, beside the floor: reading all anonymous pages of the family from /proc/PID/mem in 1 MiB blocks.

    python tests/benchmarks/contents.py [--rounds 5] [--trees 8:200,2:1000]

A tree is WORKERS:MB, once with workers that rest and once with workers that have collected, which copies nearly all. CPU is
user and system time from wait4, the minimum of interleaved rounds, start-up apart: that of `airmem --version` and of importing
numpy is subtracted. It reports and judges no commit: no limit here fails a test.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from bench import Cost, describe_machine, find_airmem, measure

PROGRAM = Path(__file__).parents[1] / "live" / "programs" / "objects.py"
OBJECTS_PER_MB = 230
"""COUNT of objects.py for each MB of the parent's anonymous memory."""

FLOOR = """
import os, sys
import numpy as np
PAGE = os.sysconf("SC_PAGE_SIZE"); BLOCK = bytearray(1 << 20); MOST = len(BLOCK) // PAGE; total = 0
for pid in sys.argv[1:]:
    memory, table = os.open(f"/proc/{pid}/mem", os.O_RDONLY), os.open(f"/proc/{pid}/pagemap", os.O_RDONLY)
    for line in open(f"/proc/{pid}/maps"):
        addresses, permissions, *_ = line.split()
        if permissions[3] != "p" or "[v" in line:
            continue
        start, end = (int(one, 16) // PAGE for one in addresses.split("-"))
        words = np.frombuffer(os.pread(table, (end - start) * 8, start * 8), np.uint64)
        pages = np.flatnonzero(words >> np.uint64(61) == 4) + start
        for run in np.split(pages, np.flatnonzero(np.diff(pages) != 1) + 1) if len(pages) else ():
            for first in range(int(run[0]), int(run[-1]) + 1, MOST):
                size = min(MOST, int(run[-1]) + 1 - first) * PAGE
                total += os.preadv(memory, [memoryview(BLOCK)[:size]], first * PAGE)
print(total)
"""
"""Reads every anonymous page of each process; finding them is part of it, and little."""

LIMIT_RATIO = 6.0
LIMIT_MB, LIMIT_BYTES_PER_OBJECT = 150, 60


def main() -> None:
    """Measure each tree and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each command runs (5)")
    parser.add_argument("--trees", default="8:200,2:1000", help="WORKERS:MB, ... (8:200,2:1000)")
    options = parser.parse_args()
    print(describe_machine(options.rounds), flush=True)
    print("\n| tree | workers | floor, CPU ms | heap, CPU ms | x floor | limit | peak RSS MB | limit |")
    print("| --- | --- | --: | --: | --: | --: | --: | --: |", flush=True)
    for tree in options.trees.split(","):
        worker_count, megabytes = map(int, tree.split(":"))
        for mode in ("rest", "collect"):
            print(measure_tree(worker_count, megabytes, mode, options.rounds), flush=True)


def measure_tree(worker_count: int, megabytes: int, mode: str, rounds: int) -> str:
    """Return the row of one tree."""
    line = [sys.executable, str(PROGRAM), str(megabytes * OBJECTS_PER_MB), str(worker_count), mode]
    target = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert target.stdout is not None
        if not target.stdout.readline().startswith(b"READY"):
            sys.exit(f"a tree of {worker_count} workers of {megabytes} MB cannot be started here")
        children = Path(f"/proc/{target.pid}/task/{target.pid}/children").read_text(encoding="ascii").split()
        heap = [*find_airmem(), "heap", str(target.pid), "--format", "json"]
        commands = {
            "floor": [sys.executable, "-c", FLOOR, str(target.pid), *children],
            "heap": heap,
            "python": [sys.executable, "-c", "pass"],
            "version": [*find_airmem(), "--version"],
            "numpy": [sys.executable, "-c", "import numpy"],
        }
        costs = {name: Cost() for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                measure(command, costs[name] if number else Cost(), on_terminal=False)  # the first round warms up
        tracked_count = count_tracked(heap)
    finally:
        target.kill()
        target.communicate()
    least = {name: min(cost.cpu_ms) for name, cost in costs.items()}
    numpy_ms = least["numpy"] - least["python"]
    floor = least["floor"] - least["numpy"]
    spent = least["heap"] - least["version"] - numpy_ms
    limit_mb = LIMIT_MB + LIMIT_BYTES_PER_OBJECT * tracked_count / 1e6
    return (
        f"| {worker_count} x {megabytes} MB, {tracked_count} tracked | {mode} | {floor:.0f} | {spent:.0f} |"
        f" {spent / floor:.2f} | {LIMIT_RATIO} | {costs['heap'].peak_mb:.0f} | {limit_mb:.0f} |"
    )


def count_tracked(heap: list[str]) -> int:
    """Return how many objects the collector of the parent tracks."""
    answer = json.loads(subprocess.run(heap, capture_output=True, check=True).stdout)
    return int(answer["accuracy"]["tracked_count"])


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    main()
