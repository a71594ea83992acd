"""What plain `memray attach` does to a process that stands still when it is interrupted; run by hand, it kills targets of its own.

    python tests/live/reproduce_attach.py [ROUNDS]

Each round starts a process that blocks in read(2) just before memray's debugger comes, interrupts memray as named, lets the
process go on, and tells what became of it. tests/live/test_trace_attach.py does the same to `airmem trace --attach`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PROGRAM = Path(__file__).parent / "programs" / "allocating.py"
WAYS = {
    "Ctrl-C: SIGINT to the process group": (signal.SIGINT, "group"),
    "timeout(1): SIGTERM to the process group": (signal.SIGTERM, "group"),
    "a closed terminal: SIGHUP to the process group": (signal.SIGHUP, "group"),
    "SIGKILL to the process group": (signal.SIGKILL, "group"),
    "SIGINT to memray alone": (signal.SIGINT, "memray"),
}
PATIENCE_SECONDS = 60


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait for a condition; return whether it came."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def tracer_of(pid: int) -> int:
    """Return who traces a process."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/status").read_text().partition("TracerPid:")[2].split()[0])
    return 0


def is_waiting(pid: int) -> bool:
    """Whether the debugger waits for the process, rather than works in it: it has not been stopped for half a second."""
    for _ in range(10):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "t":
            return False
        time.sleep(0.05)
    return True


def try_once(number: int, whom: str, folder: Path) -> str:
    """Interrupt one `memray attach` and return what became of its target."""
    stop_file = folder / "stop"
    stop_file.unlink(missing_ok=True)
    target = subprocess.Popen(
        [sys.executable, str(PROGRAM), "blocked", str(stop_file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert target.stdout is not None
    assert target.stdin is not None
    target.stdout.readline()
    memray = subprocess.Popen(
        [sys.executable, "-m", "memray", "attach", "--method", "gdb", "-f", "-o", str(folder / "x.bin"), str(target.pid)],
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    stop_file.touch()
    try:
        if not wait_for(lambda: tracer_of(target.pid)):
            return "no debugger came"
        wait_for(lambda: is_waiting(target.pid))
        debugger = tracer_of(target.pid)
        if whom == "group":
            os.killpg(memray.pid, number)
        else:
            memray.send_signal(number)
        memray.wait(PATIENCE_SECONDS)
        if not wait_for(lambda: not tracer_of(target.pid), 5):
            os.kill(debugger, signal.SIGINT)  # left attached; the one way to end it without harm
            wait_for(lambda: not tracer_of(target.pid))
            return "lives, but a debugger stayed attached"
        with suppress(BrokenPipeError):
            target.stdin.write(b"go on\n")
            target.stdin.flush()
        if wait_for(lambda: target.poll() is not None, 3):
            status = target.returncode
            return f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
        return "lives"
    finally:
        target.kill()
        target.wait()


def main() -> None:
    """Print a line for each way."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as name:
        for way, (number, whom) in WAYS.items():
            results = [try_once(number, whom, Path(name)) for _ in range(rounds)]
            told = ", ".join(f"{results.count(one)} of {rounds} {one}" for one in dict.fromkeys(results))
            print(f"{way:<50} {told}", flush=True)


if __name__ == "__main__":
    main()
