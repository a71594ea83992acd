"""What `airmem cow` costs beside reading the same pages and doing nothing with them, and what it costs its target.

CPU is user and system time of the command, less that of importing what it imports; the floor reads every anonymous page
of the family from /proc/PID/mem in blocks of 1 MB. Both run in turn. Minima are shown beside medians: other load on the
machine only adds. It reports and judges no commit.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent
ROUNDS = 5
TREES = ((8, 200), (1, 200), (2, 1000))
"""Workers, MB of the parent."""

LIMITS = {8: 3.0, 1: 8.0, 2: 8.0}
"""By workers: so many times the floor may cow take."""

CORES = sorted(os.sched_getaffinity(0))
"""The target that maps and unmaps has the first for itself, cow beside it the others."""

WINDOW_SECONDS = 6.0
WINDOWS = 6
START_UP = (
    "import airmem.__main__, airmem.cli, airmem.group, airmem.commands.cow, airmem.collect.anonymous,"
    " airmem.collect.contents,"
    " airmem.analysis.explain, airmem.analysis.cow, airmem.analysis.fraction, airmem.render.as_json, airmem.codec"
)
FLOOR = """
import os, sys, time
import numpy as np
from airmem.collect.anonymous import LiveAnonymousTables
from airmem.collect.source import open_source
from airmem.collect.tree import collect_tree
reader = open_source()
processes = collect_tree(reader, int(sys.argv[1]), "status").processes
tables = LiveAnonymousTables(reader, processes)
family = [(one.process.pid, tables.read(at).pages) for at, one in enumerate(processes)]
room = memoryview(bytearray(1 << 20))
began, count = time.process_time(), 0
for pid, pages in family:
    file = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    edges = [0, *(np.flatnonzero(np.diff(pages) != 1) + 1).tolist(), len(pages)]
    for begin, end in zip(edges, edges[1:]):
        for at in range(begin, end, 256):
            size = min(256, end - at)
            os.preadv(file, [room[: size * 4096]], int(pages[at]) * 4096)
            count += size
    os.close(file)
print(time.process_time() - began, count * 4096)
"""


@dataclass
class Costs:
    """CPU in ms of each round; peak RSS in MB; what the family has in MB, and objects the collector tracks."""

    floor_ms: list[float] = field(default_factory=list)
    cow_ms: list[float] = field(default_factory=list)
    start_ms: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    family_mb: float = 0.0
    tracked_count: int = 0


@contextmanager
def tree(*arguments: object) -> Iterator[int]:
    """Run cow_tree.py until the block ends; yield its pid."""
    line = [sys.executable, str(FOLDER / "cow_tree.py"), *map(str, arguments)]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if len(arguments) > 2 and len(CORES) > 1:
        os.sched_setaffinity(process.pid, CORES[:1])
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not process.stdout.readline().startswith(b"READY"):
            sys.exit(f"the tree cannot be started: {' '.join(line)}")
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def run(*command: str) -> tuple[float, float, bytes]:
    """Return CPU in ms, peak RSS in MB, and what a command printed."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, spent = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"exit {process.returncode}: {' '.join(command)}")
    return (spent.ru_utime + spent.ru_stime) * 1000, spent.ru_maxrss / 1024, printed


def measure(pid: int, rounds: int) -> Costs:
    """Measure floor, start-up and command in turn; the first round warms up."""
    costs = Costs()
    for number in range(rounds + 1):
        _, _, printed = run(sys.executable, "-c", FLOOR, str(pid))
        start_ms, _, _ = run(sys.executable, "-c", START_UP)
        cow_ms, peak_mb, answer = run(sys.executable, "-m", "airmem", "cow", str(pid), "--format", "json")
        if number:
            seconds, size = printed.split()
            costs.floor_ms.append(float(seconds) * 1000)
            costs.start_ms.append(start_ms)
            costs.cow_ms.append(cow_ms)
            costs.peak_mb = max(costs.peak_mb, peak_mb)
            costs.family_mb = int(size) / (1 << 20)
            collector = json.loads(answer)["collector"]
            counts = [one["object_count"] for one in collector["generations"]] + [collector["frozen_count"]]
            costs.tracked_count = sum(counts)
    return costs


def report(worker_count: int, heap_mb: int, costs: Costs) -> str:
    """Return one line of the table."""
    start = min(costs.start_ms)
    least = (min(costs.cow_ms) - start) / min(costs.floor_ms)
    middle = (statistics.median(costs.cow_ms) - statistics.median(costs.start_ms)) / statistics.median(costs.floor_ms)
    memory_mb = 150 + costs.tracked_count * 60 / (1 << 20)
    limit = LIMITS[worker_count]
    held = "yes" if least <= limit and costs.peak_mb <= memory_mb else "**no**"
    return (
        f"| {worker_count} x {heap_mb} MB | {costs.family_mb:.0f} | {min(costs.floor_ms):.0f} |"
        f" {min(costs.cow_ms) - start:.0f} | {start:.0f} | {least:.2f} | {middle:.2f} | {limit:.0f} |"
        f" {costs.peak_mb:.0f} | {memory_mb:.0f} | {held} |"
    )


def measure_disturbance() -> str:
    """Return how much of its throughput a target keeps that maps and unmaps while cow looks at it again and again."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return "No C compiler, so the disturbance was not measured."
    with tempfile.TemporaryDirectory() as folder:
        library, counter = f"{folder}/mapper.so", Path(folder, "rounds")
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, str(FOLDER / "mapper.c")], check=True)
        counter.write_bytes(bytes(4096))
        with tree(1, 200, library, counter) as pid, tree(1, 200) as other:
            os.sched_setaffinity(0, CORES[1:] or CORES)
            windows: dict[int | None, list[tuple[float, float]]] = {None: [], pid: [], other: []}
            for _ in range(WINDOWS):
                for looked_at, found in windows.items():
                    found.append(throughput(counter, pid, looked_at))
    alone, beside, elsewhere = (
        tuple(statistics.median(column) for column in zip(*found, strict=True)) for found in windows.values()
    )
    return (
        f"A parent of 200 MB that maps, touches and unmaps 256 KiB keeps {beside[0] / alone[0]:.3f} of its throughput"
        f" while cow looks at it again and again from another core (wanted: 0.95), and {elsewhere[0] / alone[0]:.3f}"
        f" while cow looks at another tree. It waits for a lock {beside[1]:.1%} of the time, otherwise {alone[1]:.1%}."
        f" Medians of {WINDOWS} windows of {WINDOW_SECONDS:.0f} s each, in turn."
    )


def throughput(counter: Path, pid: int, looked_at: int | None) -> tuple[float, float]:
    """Return rounds per second over a window, less the time that the target waited for a core, and the share of the
    time that it waited for anything else. cow looks at a tree meanwhile, or at none."""

    def look() -> tuple[int, float, float]:
        ran_ns, delay_ns = map(int, Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[:2])
        return int.from_bytes(counter.read_bytes()[:8], sys.byteorder), ran_ns / 1e9, time.monotonic() - delay_ns / 1e9

    before, ran, began = look()
    end = time.monotonic() + WINDOW_SECONDS
    while (left := end - time.monotonic()) > 0:
        if looked_at is None:
            time.sleep(left)
        else:
            run_for(left, sys.executable, "-m", "airmem", "cow", str(looked_at), "--format", "json")
    after, has_run, ended = look()
    return (after - before) / (ended - began), max(0.0, 1 - (has_run - ran) / (ended - began))


def run_for(seconds: float, *command: str) -> None:
    """Run a command for so long at most: a look at a target at work takes longer than a window."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> None:
    """Measure each tree and print the table."""
    print("\n## airmem cow\n")
    print(
        "| tree | anonymous MB | floor ms | cow ms | start-up ms | x floor | by medians | limit | RSS MB | limit | held |"
    )
    print("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --- |", flush=True)
    for worker_count, heap_mb in TREES:
        with tree(worker_count, heap_mb) as pid:
            print(report(worker_count, heap_mb, measure(pid, ROUNDS)), flush=True)
    print("", measure_disturbance(), sep="\n", flush=True)


if __name__ == "__main__":
    main()
