"""Lets a test have a process of Airflow collect: on a real-time signal, in its own main thread, as Python itself would.

Only where the variable E2E_COLLECT is set. Forked workers inherit the handler. Nothing is injected into anybody.
"""

from __future__ import annotations

import gc
import os
import signal


def collect(_number, _frame):
    """Run a full collection and write down what it found frozen."""
    gc.collect()
    folder, name = os.environ["E2E_NOTES"], f"collected-{os.getpid()}.json"
    descriptor = os.open(f"{folder}/.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, b'{"frozen_count": %d}' % gc.get_freeze_count())
    os.close(descriptor)
    os.rename(f"{folder}/.{name}", f"{folder}/{name}")


if os.environ.get("E2E_COLLECT"):
    signal.signal(signal.SIGRTMIN + 7, collect)
