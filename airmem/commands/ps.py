"""`airmem ps`: the services of this host, as trees."""

from __future__ import annotations

import click

from airmem.commands._options import answer_options, target_options
from airmem.commands._ps import FORMS, answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\b
Examples:
  airmem ps                          all services
  airmem ps scheduler                one tree
  airmem ps --all                    other Python programs, too
  airmem ps --format json
"""


@click.command("ps", short_help="Which services run here, as trees of processes.", epilog=EPILOG)
@target_options
@click.option("--all", "with_all", is_flag=True, help="Add Python programs that belong to no known service.")
@answer_options(*FORMS)
def command(**options: Any) -> int:
    """Show which services run here, as trees of processes.

    Knows Airflow (2.9 to 3.3), Celery, gunicorn, uWSGI, uvicorn and multiprocessing. TARGET, a pid or a component
    (scheduler, celery-worker, gunicorn ...), shows that one tree. Reads /proc only: nothing is stopped, changed or
    sent. Secrets in command lines are replaced.
    """
    return answer(**options)
