"""DAGs of the end-to-end tests: tasks that say who they are and wait, and tasks every minute."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime, timezone
from pathlib import Path

from airflow.sdk import dag, get_current_context, task

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
NOTES = Path(os.environ["E2E_NOTES"])
TASKS = 8
LONGEST_SECONDS = 600


def note(name: str, **more: object) -> None:
    """Write down who runs this, all at once."""
    path = NOTES / f".{name}"
    path.write_text(json.dumps({"pid": os.getpid(), "parent_pid": os.getppid(), **more}))
    path.rename(NOTES / f"{name}.json")


@dag(dag_id="e2e_hold", schedule="@once", start_date=START, catchup=False, max_active_runs=1)
def e2e_hold():
    """Keep every worker busy until the tests let go: afterwards no worker is dumpable."""

    @task
    def hold(number: int) -> None:
        note(f"task-{number}", instance_id=str(get_current_context()["ti"].id))
        end = time.monotonic() + LONGEST_SECONDS
        while not (NOTES / "let-go").exists() and time.monotonic() < end:
            time.sleep(0.2)

    hold.expand(number=list(range(TASKS)))


@dag(dag_id="e2e_minutely", schedule="* * * * *", start_date=START, catchup=False, max_active_runs=1)
def e2e_minutely():
    """Make the workers do something now and then."""

    @task
    def work(number: int) -> int:
        rows = [{"number": row, "text": str(row)} for row in range(20_000)]
        time.sleep(1)
        return len(rows) + number

    for number in range(3):
        work.override(task_id=f"work_{number}")(number)


e2e_hold()
if not (NOTES / "hold-only").exists():
    e2e_minutely()
