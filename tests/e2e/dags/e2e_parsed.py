"""A DAG file that is slow to parse while the tests ask for it, so that they can look at its parser."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime, timezone
from pathlib import Path

from airflow.sdk import dag, task

NOTES = Path(os.environ["E2E_NOTES"])

if (NOTES / "hold-parser").exists():
    path = NOTES / ".parser"
    path.write_text(json.dumps({"pid": os.getpid(), "parent_pid": os.getppid()}))
    path.rename(NOTES / "parser.json")
    end = time.monotonic() + 25  # Airflow gives up after 30
    while (NOTES / "hold-parser").exists() and time.monotonic() < end:
        time.sleep(0.1)


@dag(dag_id="e2e_parsed", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=timezone.utc))
def e2e_parsed():
    """Never run."""

    @task
    def nothing() -> None:
        """Do nothing."""

    nothing()


e2e_parsed()
