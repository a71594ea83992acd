"""User names and ids."""

from __future__ import annotations


def find_user_id(name: str) -> int | None:
    """Return the id of a user given by name or number, None if there is no such user here."""
    if name.isdecimal():
        return int(name)
    import pwd  # noqa: PLC0415  # only --user comes here

    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None
