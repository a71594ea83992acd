"""Where an answer goes: standard output, or a file that only its owner can read."""

from __future__ import annotations

import os
import sys

from airmem.errors import UsageProblem


def write(text: str, path: str | None, force: bool = False) -> None:
    """Write an answer to standard output, or to a new file of mode 0600 that no symbolic link leads to.

    Errors: UsageProblem when the file exists (and `force` is not given) or cannot be written; what was there before
    stays whole until the new text is complete.
    """
    if path is None or path == "-":
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        return
    if os.path.lexists(path) and not force:
        raise UsageProblem(f"{path} exists", "Give another name, or --force to replace it.")
    if os.path.islink(path):
        raise UsageProblem(f"{path} is a symbolic link", "airmem does not write through links; remove it or give another name.")
    partial = f"{path}.{os.getpid()}.partial"
    try:
        _write_new(partial, text)
        os.replace(partial, path)
    except OSError as problem:
        if os.path.lexists(partial):
            os.unlink(partial)
        raise UsageProblem(f"cannot write {path}: {problem.strerror}", "Give a place that is writable and has room.") from problem


def _write_new(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(file, "w", encoding="utf-8") as stream:
        stream.write(text + "\n")
        stream.flush()
        os.fsync(stream.fileno())
