"""What `airmem analyze` costs beside the bare loop over memray's records, on captures made here.

The bare loop opens the file, walks the same views, asks each record for its size and stack, and drops it: what any
answer by stack pays. CPU is user and system time of the whole command with its children, the median of interleaved
rounds. It reports and judges no commit.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAMS = Path(__file__).parents[1] / "live" / "programs"
ROUNDS = 3
STACKS = 150_000
BARE = """
import sys, memray
memray.set_log_level(60)
reader = memray.FileReader(sys.argv[1])
total = 0
for view in ("high_watermark", "leaked", "temporary")[: int(sys.argv[2])]:
    for record in getattr(reader, f"get_{view}_allocation_records")(merge_threads=True):
        total += record.size
        record.stack_trace()
"""
IMPORTS = (
    "import asyncio, concurrent.futures, email.mime.text, http.server, json, jsonschema, numpy, rich.console, sqlite3"
)
CHURN = "import json\nfor _ in range(3000):\n    json.loads(json.dumps(list(range(500))))\n"


def captures(folder: Path) -> dict[str, Path]:
    """Make captures of an import, of churn, and of many stacks; return them by name."""
    programs = {
        "imports, every block": (["--trace-python-allocators"], ["-c", IMPORTS]),
        "churn, every block": (["--trace-python-allocators"], ["-c", CHURN]),
        f"{STACKS} stacks": ([], [str(PROGRAMS / "many_stacks.py"), str(STACKS)]),
    }
    made = {}
    for number, (name, (options, program)) in enumerate(programs.items()):
        made[name] = folder / f"{number}.bin"
        line = [sys.executable, "-m", "memray", "run", "-q", *options, "-o", str(made[name]), *program]
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return made


def cost(line: list[str]) -> tuple[float, float]:
    """Return (CPU seconds, largest resident MB of one process) of a command and its children."""
    program = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    program += (
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime, used.ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", program, *line], check=True, capture_output=True, text=True)
    cpu, peak = done.stdout.split()
    return float(cpu), int(peak) * 1024 / 1e6


def main() -> None:
    """Print one row for each capture."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHONDONT")}
    os.environ.clear()
    os.environ.update(environment)
    with tempfile.TemporaryDirectory(prefix="airmem-bench-") as folder:
        print(
            f"{'capture':<24}{'views':>6}{'file MB':>9}{'bare s':>9}{'airmem s':>10}{'ratio':>7}{'bare MB':>9}{'airmem MB':>11}"
        )
        for name, path in captures(Path(folder)).items():
            for views in (2, 3):
                churn = "--churn" if views == 3 else "--no-churn"
                bare = [sys.executable, "-c", BARE, str(path), str(views)]
                ours = [sys.executable, "-m", "airmem", "analyze", str(path), churn, "--format", "json"]
                rounds = [(cost(bare), cost(ours)) for _ in range(ROUNDS)]
                bare_cpu, own_cpu = (statistics.median(one[side][0] for one in rounds) for side in (0, 1))
                peaks = [max(one[side][1] for one in rounds) for side in (0, 1)]
                ratio = statistics.median(own[0] / plain[0] for plain, own in rounds)
                print(
                    f"{name:<24}{views:>6}{path.stat().st_size / 1e6:>9.1f}{bare_cpu:>9.2f}{own_cpu:>10.2f}{ratio:>7.2f}"
                    f"{peaks[0]:>9.0f}{peaks[1]:>11.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
