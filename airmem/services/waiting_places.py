"""Where the threads of services wait by design, told by their frames: what is known of each one's main loop."""

from __future__ import annotations

SERVICE_PLACES: dict[tuple[str, str], str] = {
    ("executors/local_executor.py", "_run_worker"): "an idle LocalExecutor worker",
    ("utils/scheduler_health.py", "serve_health_check"): "the scheduler's health server",
    ("gunicorn/arbiter.py", "sleep"): "gunicorn's master between signals",
    ("gunicorn/workers/sync.py", "wait"): "a gunicorn worker between requests",
    ("gunicorn/workers/gthread.py", "run"): "a gunicorn worker between requests",
    ("uvicorn/supervisors/multiprocess.py", "keep_subprocess_alive"): "uvicorn's supervisor",
    ("uvicorn/supervisors/multiprocess.py", "run"): "uvicorn's supervisor",
    ("uvicorn/supervisors/basereload.py", "run"): "uvicorn's reloader",
    ("uvicorn/supervisors/basereload.py", "pause"): "uvicorn's reloader",
    ("celery/worker/loops.py", "asynloop"): "a Celery worker between tasks",
    ("celery/worker/loops.py", "synloop"): "a Celery worker between tasks",
    ("kombu/asynchronous/hub.py", "run_forever"): "a Celery worker between tasks",
    ("billiard/pool.py", "workloop"): "an idle Celery pool worker",
    ("billiard/pool.py", "body"): "a thread of Celery's pool",
    ("celery/beat.py", "start"): "Celery beat between tasks",
    ("celery/utils/timer2.py", "run"): "Celery's timer",
    ("apscheduler/schedulers/blocking.py", "_main_loop"): "an APScheduler between jobs",
    ("watchdog/observers/api.py", "run"): "a file observer",
    ("watchdog/utils/delayed_queue.py", "get"): "a file observer",
    ("sentry_sdk/worker.py", "_target"): "Sentry's background thread",
    ("opentelemetry/sdk/_shared_internal/__init__.py", "worker"): "OpenTelemetry's exporter",
    ("anyio/_backends/_asyncio.py", "run"): "a worker thread of anyio with nothing to do",
    ("zmq/utils/garbage.py", "run"): "ZeroMQ's collector thread",
    ("tqdm/_monitor.py", "run"): "tqdm's monitor",
}
"""(end of the file, function) -> what waits there. Read in the sources of Airflow 3.3.2, gunicorn 23 and 27, uvicorn
0.54, Celery 5.7, billiard 4.3, kombu 5.7, anyio 4.16, APScheduler 3.11 and the others' newest."""
