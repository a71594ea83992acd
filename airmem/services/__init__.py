"""Detectors: what one only knows about Airflow, Celery, gunicorn and their like. They touch nothing."""
