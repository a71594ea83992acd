"""What can go wrong for a person: every error carries its cause, a remedy and an exit status."""

from __future__ import annotations


class AirmemError(Exception):
    """A failure that is explained to the user; `exit_status` 70 means a fault of airmem itself.

    `lines` are shown between cause and remedy, one below the other: the things to choose from.
    """

    exit_status = 70

    def __init__(self, cause: str, remedy: str = "", lines: tuple[str, ...] = ()) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.lines = lines


class UsageProblem(AirmemError):
    """The command line asks for something that makes no sense here (exit status 2)."""

    exit_status = 2


class ProcessGone(AirmemError):
    """The process that was asked for does not exist, or ended while it was read (exit status 3)."""

    exit_status = 3


class NotPermitted(AirmemError):
    """The kernel refuses to show the process that was asked for (exit status 4)."""

    exit_status = 4


class NotMeasurable(AirmemError):
    """What was asked for cannot be measured in this place (exit status 5)."""

    exit_status = 5


class Interrupted(AirmemError):
    """Somebody ended what was begun, before it gave an answer (exit status 130)."""

    exit_status = 130


class Malformed(NotMeasurable):
    """A file does not have the form that its name promises; the cause names the file and the line."""
