"""Asks a service for its health over HTTP: a request as any probe makes it."""

from __future__ import annotations

from airmem.errors import UsageProblem
from airmem.model.health import HealthAnswer

MOST_BYTES = 1 << 20


def ask_health(url: str, limit_seconds: float) -> HealthAnswer:
    """Return the answer to GET, without following redirects. Errors: UsageProblem for what is no http(s) URL."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection  # noqa: PLC0415  # costs more than the rest
    from urllib.parse import urlsplit  # noqa: PLC0415

    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as problem:
        raise UsageProblem(f"{url[:80]!r} is no URL: {problem}", "Example: http://localhost:8974/health") from problem
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageProblem(f"{url[:80]!r} is no http URL", "Example: http://localhost:8974/health")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname, port, timeout=limit_seconds)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("GET", path, headers={"User-Agent": "airmem", "Accept": "application/json"})
        answer = connection.getresponse()
        return HealthAnswer(status=answer.status, body=answer.read(MOST_BYTES), problem="")
    except (OSError, HTTPException) as problem:
        return HealthAnswer(status=0, body=b"", problem=str(problem) or type(problem).__name__)
    finally:
        connection.close()
