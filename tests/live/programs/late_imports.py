"""Workers of multiprocessing that import modules of the standard library after they were started, or whose parent did before.

Arguments: a start method (fork, spawn, forkserver), `before` or `after`, and how many workers.
"""

from __future__ import annotations

import ctypes
import importlib
import multiprocessing
import os
import sys
import time
from multiprocessing.connection import Connection

MODULES = (
    "asyncio", "concurrent.futures.process", "decimal", "email.mime.multipart", "http.server", "logging.config", "pydoc",
    "sqlite3", "ssl", "tarfile", "unittest.mock", "urllib.request", "xml.etree.ElementTree", "xmlrpc.client",
)  # fmt: skip


def load() -> None:
    """Import what there is of the modules."""
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError:
            continue


def work(when: str, report: Connection) -> None:
    """Be a worker: import, say so, rest."""
    ctypes.CDLL(None).prctl(1, 9)
    if when == "after":
        load()
    report.send_bytes(b".")
    time.sleep(10_000)


def main() -> None:
    """Start the workers, and rest until standard input ends."""
    method, when, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if when == "before":
        load()
    context = multiprocessing.get_context(method)
    reports, report = context.Pipe(duplex=False)
    workers = [context.Process(target=work, args=(when, report), daemon=True) for _ in range(count)]
    for worker in workers:
        worker.start()
    for _ in workers:
        reports.recv_bytes()
    print(f'READY {{"pid": {os.getpid()}}}', flush=True)
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
