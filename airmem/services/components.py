"""The components that detectors know, for people: their names and how each is recognized."""

from __future__ import annotations

COMPONENTS: dict[str, str] = {
    "scheduler": "airflow scheduler, with its executor's workers",
    "dag-processor": "airflow dag-processor",
    "api-server": "airflow api-server (Airflow 3)",
    "webserver": "airflow webserver (Airflow 2)",
    "triggerer": "airflow triggerer",
    "standalone": "airflow standalone",
    "internal-api": "airflow internal-api (Airflow 2.10 and 2.11)",
    "edge-worker": "airflow edge worker",
    "kerberos": "airflow kerberos",
    "task": "airflow tasks run, execute_workload: a task in a pod of its own",
    "celery-worker": "celery worker, airflow celery worker",
    "celery-beat": "celery beat",
    "celery-flower": "celery flower, airflow celery flower",
    "gunicorn": "gunicorn, by title or command line",
    "uwsgi": "uwsgi, by title or command line",
    "uvicorn": "uvicorn, fastapi run",
    "multiprocessing": "a Python program with processes by fork, forkserver or spawn",
}
"""Component -> what is looked for. A component's `parent` process stands for it on the command line."""
