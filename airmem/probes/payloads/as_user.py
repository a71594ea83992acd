"""Runs a program as another user: `python -I as_user.py UID GID PROGRAM ARGUMENTS...`; only root can.

A target's Python and all that it imports are its user's files: root must not run them as root.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Become the user and then the program."""
    user_id, group_id, line = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    os.setgroups([group_id])
    os.setgid(group_id)
    os.setuid(user_id)
    os.chdir("/")
    os.execv(line[0], line)  # noqa: S606  # a list, never through a shell


main()
