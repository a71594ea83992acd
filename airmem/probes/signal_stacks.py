"""Asks a process for its Python stacks by SIGQUIT: without ptrace, where a handler is known to print them."""

from __future__ import annotations

import os
import signal


def run_signal_stacks(pid: int) -> str:
    """Send SIGQUIT; return an empty text, or why it could not be sent."""
    try:
        os.kill(pid, signal.SIGQUIT)
    except OSError as problem:
        return problem.strerror or "refused"
    return ""
