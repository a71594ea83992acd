"""Asking a process for its stacks by a signal: who catches it, where what it prints goes, and sending it."""

from __future__ import annotations

from airmem.kernel.status import parse_status
from airmem.probes.signal_stacks import run_signal_stacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import Source


def collect_caught_signals(reader: Source, pid: int) -> tuple[int | None, str]:
    """Return SigCgt and where standard output goes; None and an empty text where that cannot be read."""
    try:
        with reader.process(pid) as files:
            return int(parse_status(files.read("status"))[b"SigCgt"], 16), files.link("fd/1")
    except (OSError, KeyError, ValueError):
        return None, ""


def ask_for_stacks(pid: int) -> str:
    """Send SIGQUIT; return an empty text, or why that failed."""
    return run_signal_stacks(pid)
