"""What `airmem pss` costs, beside the floor (cat of smaps_rollup) and its peers, on a tree of N workers of 200 MB.

CPU is user and system time of the whole command from wait4, the median of interleaved rounds; other load on the
machine lengthens wall time, less so CPU time. It reports and judges no commit: no limit here fails a test.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "live" / "programs" / "service.py"
BIN = Path(sys.executable).parent
PSUTIL_LOOP = "import psutil, sys; [psutil.Process(int(pid)).memory_full_info() for pid in sys.argv[1:]]"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    "OPENBLAS_NUM_THREADS": "1",
    "TERM": "xterm-256color",
    "COLUMNS": "120",
}
"""No PYTHONDONTWRITEBYTECODE: the round that warms up compiles what an installation would have compiled."""
HEAP_MB = 200


@dataclass
class Cost:
    """What one command cost in each round: CPU and wall in ms, peak RSS in MB."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    failed: str = ""

    @property
    def cpu(self) -> float:
        """The median CPU time in ms."""
        return statistics.median(self.cpu_ms)

    @property
    def wall(self) -> float:
        """The median wall time in ms."""
        return statistics.median(self.wall_ms)


Costs = dict[str, Cost]


def find_airmem() -> list[str]:
    """Return the command of the airmem that belongs to this interpreter."""
    script = BIN / "airmem"
    return [str(script)] if script.exists() else [sys.executable, "-m", "airmem"]


def find_commands(root_pid: int, pids: list[int]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the commands to measure by name, and which peers are missing."""
    airmem, words = find_airmem(), [str(pid) for pid in pids]
    pss = [*airmem, "pss", str(root_pid)]
    commands = {
        "cat smaps_rollup (F)": ["cat", *(f"/proc/{pid}/smaps_rollup" for pid in words)],
        "airmem pss, rollup, json": [*pss, "--depth", "rollup", "--format", "json"],
        "airmem pss, rollup, text": [*pss, "--depth", "rollup"],
        "airmem pss, rollup, text on a terminal": [*pss, "--depth", "rollup"],
        "airmem pss, pages, json": [*pss, "--depth", "pages", "--format", "json"],
        "airmem pss, pages, json, --exclusive": [*pss, "--depth", "pages", "--exclusive", "--format", "json"],
        "airmem --version": [*airmem, "--version"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import numpy'": [sys.executable, "-c", "import numpy"],
    }
    peers = {
        "smem": ["smem", "-c", "pid pss uss rss", "-P", PROGRAM.name],
        "ps_mem": ["ps_mem", "-d", "-p", ",".join(words)],
        "pmap": ["pmap", "-X", *words],
    }
    missing = []
    for name, command in peers.items():
        place = shutil.which(name) or shutil.which(name, path=str(BIN))
        if place:
            commands[" ".join([name, *command[1:2]])] = [place, *command[1:]]
        else:
            missing.append(name)
    if subprocess.run([sys.executable, "-c", "import psutil"], capture_output=True, check=False).returncode:
        missing.append("psutil")
    else:
        commands["psutil memory_full_info"] = [sys.executable, "-c", PSUTIL_LOOP, *words]
    return commands, missing


def measure(command: list[str], cost: Cost, on_terminal: bool) -> None:
    """Run a command once and add what it cost."""
    output = os.openpty() if on_terminal else (-1, os.open(os.devnull, os.O_WRONLY))
    reader = threading.Thread(target=drain, args=(output[0],), daemon=True)
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output[1], stderr=output[1], env=ENVIRONMENT)
    os.close(output[1])
    if on_terminal:
        reader.start()
    _, status, spent = os.wait4(process.pid, 0)
    cost.wall_ms.append((time.perf_counter() - began) * 1000)
    cost.cpu_ms.append((spent.ru_utime + spent.ru_stime) * 1000)
    cost.peak_mb = max(cost.peak_mb, spent.ru_maxrss / 1024)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        cost.failed = f"exit {process.returncode}"
    if on_terminal:
        reader.join()


def drain(terminal: int) -> None:
    """Read what a command shows until it has ended."""
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:
        os.close(terminal)


def measure_tree(worker_count: int, rounds: int) -> tuple[Costs, list[str]]:
    """Start a tree, measure every command on it in turn, round after round, and end the tree."""
    line = [sys.executable, str(PROGRAM), str(worker_count), str(HEAP_MB)]
    service = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert service.stdin is not None
        assert service.stdout is not None
        if not service.stdout.readline().startswith(b"READY"):
            sys.exit(f"a tree of {worker_count} workers cannot be started here")
        children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text(encoding="ascii").split()
        commands, missing = find_commands(service.pid, [service.pid, *map(int, children)])
        costs = {name: Cost() for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                measure(command, costs[name] if number else Cost(), "terminal" in name)  # the first round warms up
        return costs, missing
    finally:
        service.kill()
        service.communicate()


def table(costs: Costs) -> list[str]:
    """Return the costs as a table in Markdown."""
    floor = costs["cat smaps_rollup (F)"].cpu
    lines = [
        "| command | CPU ms, median | min | x F | wall ms, median | min | peak RSS MB |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    for name, cost in costs.items():
        figures = (
            f"{cost.cpu:.1f} | {min(cost.cpu_ms):.1f} | {cost.cpu / floor:.2f} |"
            f" {cost.wall:.0f} | {min(cost.wall_ms):.0f} | {cost.peak_mb:.1f}"
        )
        lines.append(f"| `{name}`{' (' + cost.failed + ')' if cost.failed else ''} | {figures} |")
    return lines


def verdicts(costs: Costs, worker_count: int) -> list[str]:
    """Return each limit, what was measured by medians, whether it is held, and in how many rounds it was."""
    floor, numpy = costs["cat smaps_rollup (F)"], costs["python -c 'import numpy'"]
    json, text = costs["airmem pss, rollup, json"], costs["airmem pss, rollup, text"]
    terminal, pages = costs["airmem pss, rollup, text on a terminal"], costs["airmem pss, pages, json"]
    version, nothing = costs["airmem --version"], costs["python -c pass"]
    floors, nothings = floor.cpu_ms, nothing.cpu_ms
    pages_limits = [
        1.6 * one + 100 + with_numpy - without
        for one, with_numpy, without in zip(floors, numpy.cpu_ms, nothings, strict=True)
    ]
    rows = [
        ("rollup json: CPU ms <= 1.05 F + 50", json.cpu_ms, [1.05 * one + 50 for one in floors]),
        ("rollup text: CPU ms <= 1.05 F + 90", text.cpu_ms, [1.05 * one + 90 for one in floors]),
        ("rollup text on a terminal: CPU ms <= 1.05 F + 90", terminal.cpu_ms, [1.05 * one + 90 for one in floors]),
        ("pages json: CPU ms <= 1.6 F + 100 + importing numpy", pages.cpu_ms, pages_limits),
        ("pages json: peak RSS MB <= 60 + 0.6 N", [pages.peak_mb], [60 + 0.6 * worker_count]),
        ("--version: CPU ms <= 5 x python -c pass", version.cpu_ms, [5 * one for one in nothings]),
    ]
    if worker_count >= 256:
        walls = [0.75 * one for one in floor.wall_ms]
        rows.append(("rollup json: wall ms <= 0.75 x wall of cat (2 cores)", json.wall_ms, walls))
    return [
        "| limit | measured | limit is | held | in rounds |",
        "| --- | --: | --: | --- | --- |",
        *(verdict(name, measured, limits) for name, measured, limits in rows),
    ]


def verdict(name: str, measured: list[float], limits: list[float]) -> str:
    """Return the row of one limit: medians, and how often a round's own figures hold it."""
    middle, limit = statistics.median(measured), statistics.median(limits)
    held = sum(one <= least for one, least in zip(measured, limits, strict=True))
    return (
        f"| {name} | {middle:.1f} | {limit:.1f} | {'yes' if middle <= limit else '**no**'} | {held} of {len(limits)} |"
    )


def describe_machine(rounds: int) -> str:
    """Return what these figures depend on."""
    cores = len(os.sched_getaffinity(0))
    total_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{cores} cores, {total_gib:.0f} GiB, Linux {platform.release()} {platform.machine()}, Python"
        f" {platform.python_version()}, uid {os.geteuid()}, load {load} before the start, {rounds} interleaved rounds."
        " Peak RSS below that of the measuring Python (some 12 MB) shows as that."
    )


def main() -> None:
    """Measure each size and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="how often each command runs (7)")
    parser.add_argument("--sizes", default="8,64,256", help="numbers of workers (8,64,256)")
    options = parser.parse_args()
    print(describe_machine(options.rounds), flush=True)
    for size in map(int, options.sizes.split(",")):
        costs, missing = measure_tree(size, options.rounds)
        print(f"\n## {size} workers of a {HEAP_MB} MB parent\n", *table(costs), sep="\n")
        print(*([f"\nNot installed, so not measured: {', '.join(missing)}."] if missing else []))
        print(*verdicts(costs, size), sep="\n", flush=True)


if __name__ == "__main__":
    main()
