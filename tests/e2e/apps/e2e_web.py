"""A web application with a heap that gunicorn loads before it forks."""

from __future__ import annotations

ROWS = [{"number": number, "text": str(number)} for number in range(100_000)]


def application(environment, start_response):
    """Answer each request with a look at the heap (WSGI, PEP 3333)."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(sum(len(row) for row in ROWS)).encode()]
