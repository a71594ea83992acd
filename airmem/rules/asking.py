"""Commands to run next: each asks where the answer came from, so that no pid of a file is looked for here."""

from __future__ import annotations

LIVE_ONLY = ("doctor",)
"""Commands that no file answers."""

WITHOUT_TARGET = ("hang-dump",)
"""Commands that judge all that a file holds, and take no TARGET beside it."""

WITH_CONTENTS = ("cow", "heap")
"""Commands that a capture answers in full only if it holds contents."""


def next_command(origin: str, command: str, pid: int | None = None, options: str = "") -> str:
    """Return a line to copy that asks a question of the same place, empty where it cannot be asked there.

    `origin` is what `--from` named, empty for the running system; `pid` None or 0 means all that there is.
    """
    words = ["airmem", command]
    if origin:
        if origin == "-" or command in LIVE_ONLY or "--every" in options:
            return ""
        from shlex import quote  # noqa: PLC0415  # only for a file

        words += ["--from", quote(origin)]
    if pid and not (origin and command in WITHOUT_TARGET):
        words.append(str(pid))
    return " ".join([*words, options] if options else words)


def repeat_command(is_live: bool, command: str, pid: int | None = None, options: str = "") -> str:
    """Return the line that, with more rights, has what an answer lacks; of a file it is the one that makes it anew."""
    if is_live or command == "ps":
        return next_command("", command, pid, options)
    if command in WITHOUT_TARGET:
        return f"airmem {command} {pid or 'TARGET'} -o FILE.tar.gz"
    contents = " --contents" if command in WITH_CONTENTS else ""
    return f"airmem capture {pid or 'TARGET'}{contents} -o FILE"
