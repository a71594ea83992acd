"""What `airmem imports` costs, beside a Python that only imports the same: CPU of the whole command, interleaved rounds.

    python tests/benchmarks/bench_imports.py [--python PATH] [MODULE...]

Without modules: numpy, and hypothesis with jsonschema, which the development environment has. It judges no commit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

LIMIT = 1.5
ENVIRONMENT = {**os.environ, "PYTHONHASHSEED": "0"}


def cpu_seconds(command: list[str]) -> float:
    """Run a command once; return the CPU time of it and its children."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    _, status, spent = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: status {process.returncode}")
    return spent.ru_utime + spent.ru_stime


def compare(python: str, modules: list[str], rounds: int) -> str:
    """Return a row of the table."""
    plain = [python, "-c", f"import {', '.join(modules)}"]
    ours = [sys.executable, "-m", "airmem", "imports", *modules, "--python", python]
    pairs = [(cpu_seconds(plain), cpu_seconds(ours)) for _ in range(rounds + 1)][1:]  # the first round warms up
    before, after = (statistics.median(column) for column in zip(*pairs, strict=True))
    held = "yes" if after <= LIMIT * before else "**no**"
    return f"| `{' '.join(modules)}` | {before * 1000:.0f} | {after * 1000:.0f} | {after / before:.2f} | {held} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="measured together")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that imports")
    parser.add_argument("--rounds", type=int, default=7, help="how often each command runs (7)")
    options = parser.parse_args()
    sets = [options.modules] if options.modules else [["numpy"], ["hypothesis", "jsonschema"]]
    print(
        f"| imported | plain, CPU ms | airmem imports | ratio | <= {LIMIT} |",
        "| --- | --: | --: | --: | --- |",
        sep="\n",
    )
    for modules in sets:
        print(compare(options.python, modules, options.rounds), flush=True)


if __name__ == "__main__":
    main()
