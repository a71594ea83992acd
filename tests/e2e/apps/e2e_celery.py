"""A Celery application whose broker is a folder."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

FOLDER = Path(os.environ["E2E_NOTES"]) / "broker"
FOLDER.mkdir(exist_ok=True)
ROWS = [{"number": number, "text": str(number)} for number in range(100_000)]

app = Celery("e2e_celery", broker="filesystem://")
app.conf.update(
    broker_transport_options={"data_folder_in": str(FOLDER), "data_folder_out": str(FOLDER)},
    broker_connection_retry_on_startup=True,
)
