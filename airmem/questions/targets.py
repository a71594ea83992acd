"""Which process is meant."""

from __future__ import annotations

from airmem.collect.users import find_user_id
from airmem.errors import UsageProblem


def resolve_target(target: str | None) -> int:
    """Return the pid that a target means. Errors: UsageProblem."""
    if target is None or not target.isdecimal() or not 0 < int(target) < 1 << 31:
        raise UsageProblem(f"{target!r} is no pid", "Give a pid; list processes with: airmem ps")
    return int(target)


def resolve_user(name: str) -> int:
    """Return the id of a user. Errors: UsageProblem."""
    user_id = find_user_id(name)
    if user_id is None:
        raise UsageProblem(f"there is no user {name!r} here", "Give a number: inside a container names may be unknown.")
    return user_id
