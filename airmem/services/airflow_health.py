"""What Airflow says of its own health, and when to believe it.

The scheduler's health server (`[scheduler] enable_health_check`, port 8974) says 503 when the scheduler's last
heartbeat is too old. The API server's monitor/health says 200 whatever it reports: only what stands in it counts.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airmem.model.health import HealthAnswer

HEALTHY = "healthy"
SCHEDULER_URL = "http://localhost:8974/health"
MONITOR_URLS = ("http://localhost:8080/api/v2/monitor/health", "http://localhost:8080/health")
"""Airflow 3 and 2. The older path answers 404 in Airflow 3."""

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def judge_scheduler(answer: HealthAnswer) -> tuple[bool, str]:
    """Return whether the scheduler's health server calls it healthy, and that in words."""
    if not answer.status:
        return False, f"the scheduler's health server does not answer: {answer.problem}"
    return answer.status == 200, f"the scheduler's health server answers {answer.status}"


def judge_monitor(answer: HealthAnswer, components: tuple[str, ...]) -> tuple[bool, str]:
    """Return whether monitor/health calls the components healthy, and that in words.

    Without components those count that it knows: one that never ran has the status null. The database always counts.
    """
    told = _parse(answer)
    if told is None:
        return False, _unusable(answer)
    known = [name for name in COMPONENTS if _part(told, name).get("status") is not None]
    asked = components or (*known, *(("metadatabase",) if "metadatabase" not in known else ()))
    sick = [f"{name} is {_part(told, name).get('status') or 'unknown'}" for name in asked
            if _part(told, name).get("status") != HEALTHY]  # fmt: skip
    return not sick, ", ".join(sick) or f"{', '.join(asked)}: healthy"


def judge_heartbeat(
    answer: HealthAnswer, components: tuple[str, ...], now_seconds: float, most_seconds: float
) -> tuple[bool, str]:
    """Return whether the components' last heartbeats are young enough, and that in words."""
    told = _parse(answer)
    if told is None:
        return False, _unusable(answer)
    known = tuple(name for name in COMPONENTS if _heartbeat(told, name) is not None)
    ages = {name: _age(told, name, now_seconds) for name in components or known}
    old = [
        f"{name} has no heartbeat" if age is None else f"{name}'s last heartbeat is {age:.0f} s old"
        for name, age in ages.items()
        if age is None or age > most_seconds
    ]
    if not ages:
        return False, "no component has a heartbeat"
    return not old, ", ".join(old) or f"{', '.join(ages)}: heartbeats are young"


def _unusable(answer: HealthAnswer) -> str:
    if not answer.status:
        return f"monitor/health does not answer: {answer.problem}"
    return f"monitor/health answers {answer.status}" + (", and no JSON" if answer.status == 200 else "")


def _parse(answer: HealthAnswer) -> dict[str, Any] | None:
    if answer.status != 200:
        return None
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _part(told: dict[str, Any], name: str) -> dict[str, Any]:
    part = told.get(name)
    return part if isinstance(part, dict) else {}


def _heartbeat(told: dict[str, Any], name: str) -> str | None:
    value = _part(told, name).get(f"latest_{name}_heartbeat")
    return value if isinstance(value, str) else None


def _age(told: dict[str, Any], name: str, now_seconds: float) -> float | None:
    text = _heartbeat(told, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, now_seconds - moment.timestamp())
