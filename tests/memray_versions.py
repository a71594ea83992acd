"""Trace and analyze with each memray that airmem supports: `python tests/memray_versions.py [VERSION...]`.

Each version gets a virtual environment of its own. It traces a program whose allocations are known, in every mode, and
airmem reads its captures through it (--python), while airmem's own memray reads or refuses them with the right verdict.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

VERSIONS = ("1.19.1", "1.19.2", "1.19.3", "1.20.0")
PROGRAM = Path(__file__).parent / "live" / "programs" / "leak_and_cache.py"
MODES = {
    "default": ([], "complete"),
    "every-block": (["--trace-python-allocators"], "complete"),
    "native": (["--native"], "complete"),
    "not-compressed": (["--no-compress"], "complete"),
    "aggregated": (["--aggregate"], "aggregated"),
}
KEPT_BYTES = 1000 * 4097 + 500 * 8193


def check(version: str, folder: Path) -> list[str]:
    """Return what is wrong with one version."""
    home = folder / version
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-qq", f"memray=={version}"], check=True)
    wrong = []
    for mode, (options, verdict) in MODES.items():
        path = home / f"{mode}.bin"
        line = [python, "-m", "memray", "run", "-q", *options, "-o", path, PROGRAM, "1000", "0.1"]
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        answer = analyze(path, "--python", str(python))
        peaks = sum(one["peak_bytes"] for one in answer["by_distribution"])
        leaked = sum(
            one["leaked_bytes"] for one in answer["by_application_frame"] if one["file"].endswith(PROGRAM.name)
        )
        if answer["files"][0]["verdict"] != verdict:
            wrong.append(f"{mode}: {answer['files'][0]['verdict']} instead of {verdict}")
        if peaks != answer["peak_bytes"]:
            wrong.append(f"{mode}: distributions add up to {peaks}, the peak is {answer['peak_bytes']}")
        if not 0 <= leaked - KEPT_BYTES <= 2 << 20:
            wrong.append(f"{mode}: {leaked} bytes kept by the program, it keeps {KEPT_BYTES} and its own lists")
    return wrong


def analyze(path: Path, *options: str) -> dict:
    """Return the document of `airmem analyze`."""
    line = [sys.executable, "-m", "airmem", "analyze", str(path), "--format", "json", *options]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{path.name}: {done.stderr}")
    return json.loads(done.stdout)


def main() -> int:
    """Check every version; return 1 if one fails."""
    status = 0
    with tempfile.TemporaryDirectory(prefix="airmem-memray-") as folder:
        for version in sys.argv[1:] or VERSIONS:
            wrong = check(version, Path(folder))
            print(f"memray {version}: {'; '.join(wrong) or f'{len(MODES)} modes as they should be'}", flush=True)
            status |= bool(wrong)
    return status


if __name__ == "__main__":
    sys.exit(main())
