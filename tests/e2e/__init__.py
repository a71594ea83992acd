"""airmem beside a real Airflow, gunicorn and Celery. Runs with AIRMEM_E2E=1 (`make e2e`) only; see README.md here."""
