"""What `airmem hang-dump` takes on a tree of 200 processes, beside one plain `py-spy dump` for each of them.

Both run as many py-spy at once as there are cores, in turn, round after round; wall time from start to end, the medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(sys.executable).parent
WAITING = """
import os, signal, sys
def wait_for_work(end):
    os.read(end, 1)
read_end, write_end = os.pipe()
children = []
for _ in range(int(sys.argv[1]) - 1):
    child = os.fork()
    if child == 0:
        os.close(write_end)
        wait_for_work(read_end)
        os._exit(0)
    children.append(child)
print(*children, flush=True)
sys.stdin.read()
"""
LIMIT_SECONDS, LIMIT_RATIO, LIMIT_MB = 12.0, 3.0, 120.0


@dataclass
class Taken:
    """What one of the two took in each round."""

    wall_seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0


def dump_tree(root_pid: int, taken: Taken) -> None:
    """Run airmem hang-dump once."""
    line = [str(BIN / "airmem"), "hang-dump", str(root_pid), "--format", "json"]
    began = time.perf_counter()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, spent = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"airmem hang-dump ended with {process.returncode}")
    taken.wall_seconds.append(time.perf_counter() - began)
    taken.cpu_seconds.append(spent.ru_utime + spent.ru_stime)
    taken.peak_mb = max(taken.peak_mb, spent.ru_maxrss / 1024)


def dump_each(pids: list[int], taken: Taken) -> None:
    """Run plain py-spy once for each process, as many at once as there are cores."""

    def dump(pid: int) -> None:
        line = [str(BIN / "py-spy"), "dump", "--nonblocking", "--json", "--pid", str(pid)]
        subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    before = os.times()
    began = time.perf_counter()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(dump, pids))
    taken.wall_seconds.append(time.perf_counter() - began)
    after = os.times()
    taken.cpu_seconds.append(
        after.children_user + after.children_system - before.children_user - before.children_system
    )


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    tree = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(options.processes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert tree.stdin is not None
    assert tree.stdout is not None
    try:
        pids = [tree.pid, *map(int, tree.stdout.readline().split())]
        airmem, pyspy = Taken(), Taken()
        for _ in range(options.rounds):
            dump_tree(tree.pid, airmem)
            dump_each(pids, pyspy)
    finally:
        tree.stdin.close()
        tree.wait()
    seconds, plain = statistics.median(airmem.wall_seconds), statistics.median(pyspy.wall_seconds)
    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{len(pids)} processes, {options.rounds} rounds, load {load} at the end\n")
    print("| command | wall s, median | min | CPU s, median | peak RSS MB |\n| --- | --: | --: | --: | --: |")
    for name, taken in (("airmem hang-dump, json", airmem), ("py-spy dump for each", pyspy)):
        wall, cpu = taken.wall_seconds, statistics.median(taken.cpu_seconds)
        print(f"| `{name}` | {statistics.median(wall):.1f} | {min(wall):.1f} | {cpu:.1f} | {taken.peak_mb or 0:.0f} |")
    print("\n| limit | measured | limit is | held |\n| --- | --: | --: | --- |")
    for name, measured, limit in (
        ("wall s", seconds, LIMIT_SECONDS),
        ("wall x py-spy for each", seconds / plain, LIMIT_RATIO),
        ("peak RSS MB", airmem.peak_mb, LIMIT_MB),
    ):
        print(f"| {name} | {measured:.1f} | {limit:.1f} | {'yes' if measured <= limit else '**no**'} |")


if __name__ == "__main__":
    main()
