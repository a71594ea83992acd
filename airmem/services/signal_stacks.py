"""Which processes print their stacks on SIGQUIT and go on: only those that Airflow installed a handler in.

The handler is installed by `airflow COMPONENT` in the foreground and inherited by what it forks. Everywhere else
SIGQUIT ends a process, or shuts Celery and gunicorn down.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.service import ServiceRole

CAUGHT = 1 << 2
"""SIGQUIT in SigCgt (proc(5)): bit N-1 for signal N."""

COMPONENTS = frozenset({"scheduler", "dag-processor", "triggerer", "api-server"})
ROLES = frozenset({"parent", "worker", "health-server", "log-server", "parser", "runner"})


def may_signal(role: ServiceRole | None, caught_mask: int | None) -> bool:
    """Whether SIGQUIT makes this process print its stacks, and nothing else."""
    if role is None or role.service != "airflow" or role.component not in COMPONENTS or role.role not in ROLES:
        return False
    return bool(caught_mask and caught_mask & CAUGHT)
