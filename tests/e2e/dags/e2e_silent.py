"""A DAG file that asks a server that never answers, at its top level, while the tests say so."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timezone
from pathlib import Path

from airflow.sdk import dag, task

NOTES = Path(os.environ["E2E_NOTES"])


def ask_without_timeout(port: int) -> bytes:
    """Wait for what never comes."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(None)
    return connection.recv(1)


if (NOTES / "silent-port").exists():
    ask_without_timeout(int((NOTES / "silent-port").read_text()))


@dag(dag_id="e2e_silent", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=timezone.utc))
def e2e_silent():
    """Never run."""

    @task
    def nothing() -> None:
        """Do nothing."""

    nothing()


e2e_silent()
