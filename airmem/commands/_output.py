"""Where an answer goes: standard output, or a file that only its owner can read."""

from __future__ import annotations

import os
import sys

from airmem.errors import UsageProblem
from airmem.model.severity import SEVERITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from airmem.model.finding import Finding
    from airmem.views.document import Document

ROOM = "Give a place that is writable and has room."


def show(document: Document, path: str | None, force: bool, no_color: bool) -> None:
    """Write a document as text: as wide as the terminal and colored there, plain and whole elsewhere."""
    from airmem.render import as_text  # noqa: PLC0415  # JSON needs none of it

    terminal = path is None and sys.stdout is not None and sys.stdout.isatty()
    color = terminal and not no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    write(as_text.render(document, _width() if terminal else None, color), path, force)


def show_aside(document: Document, no_color: bool, plain_width: int | None = None) -> None:
    """Write a document to standard error, where standard output belongs to a program: as `show` does at a terminal.

    `plain_width` is that of prose where there is no terminal, None for lines of any length.
    """
    from airmem.render import as_text  # noqa: PLC0415

    terminal = sys.stderr.isatty()
    color = terminal and not no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    text = as_text.render(document, _width() if terminal else plain_width, color)
    sys.stderr.write(text.encode(sys.stderr.encoding, "backslashreplace").decode(sys.stderr.encoding) + "\n")
    sys.stderr.flush()


def write(text: str, path: str | None, force: bool = False) -> None:
    """Write an answer to standard output, or to a new file of mode 0600 that no symbolic link leads to.

    Errors: UsageProblem when the file exists (and `force` is not given) or cannot be written; what was there before
    stays whole until the new text is complete. BrokenPipeError when nobody reads standard output any more.
    """
    if path is None or path == "-":
        _print(text)
        return
    check_output(path, force)
    _replace(path, lambda write: write((text + "\n").encode()))


def _print(text: str) -> None:
    """Write to standard output; what its encoding cannot express becomes an escape."""
    if sys.stdout is None:
        raise UsageProblem("standard output is closed", "Redirect it, or write with --output FILE.")
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise UsageProblem(f"cannot write the answer: {problem.strerror}", ROOM) from problem


def write_stream(produce: Callable[[Callable[[bytes], object]], None], path: str | None, force: bool = False) -> None:
    """Let `produce` write bytes to standard output, or to a new file as `write` makes it, as they come.

    Errors: UsageProblem as with `write`, or when standard output is a terminal; those of `produce`.
    """
    if path is None or path == "-":
        if sys.stdout.isatty():
            raise UsageProblem("this is no text for a terminal", "Name a file with -o FILE, or redirect it: > FILE")
        produce(sys.stdout.buffer.write)
        sys.stdout.buffer.flush()
        return
    check_output(path, force)
    _replace(path, produce)


def _replace(path: str, produce: Callable[[Callable[[bytes], object]], object]) -> None:
    """Write a file beside the one that is meant and put it there when it is whole. Errors: UsageProblem."""
    partial = f"{path}.{os.getpid()}.partial"
    try:
        _produce_new(partial, produce)
        os.replace(partial, path)
    except OSError as problem:
        raise UsageProblem(f"cannot write {path}: {problem.strerror}", ROOM) from problem
    finally:
        if os.path.lexists(partial):
            os.unlink(partial)


def check_output(path: str | None, force: bool) -> None:
    """Refuse an output file before any work is done. Errors: UsageProblem."""
    if path is None or path == "-":
        return
    if os.path.islink(path):
        raise UsageProblem(f"{path} is a symbolic link", "airmem does not write through links; give another name.")
    if os.path.lexists(path) and not os.path.isfile(path):
        raise UsageProblem(f"{path} is not a regular file", "airmem replaces files only; give another name.")
    if os.path.lexists(path) and not force:
        raise UsageProblem(f"{path} exists", "Give another name, or --force to replace it.")


def status_of(findings: tuple[Finding, ...], fail_on: str | None) -> int:
    """Return 1 if a finding is at least as grave as `fail_on`, else 0."""
    if fail_on is None:
        return 0
    return int(any(SEVERITIES.index(one.severity) >= SEVERITIES.index(fail_on) for one in findings))


def _width() -> int:
    from shutil import get_terminal_size  # noqa: PLC0415

    return max(40, get_terminal_size().columns)


def _produce_new(path: str, produce: Callable[[Callable[[bytes], object]], object]) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(file, "wb") as stream:
        produce(stream.write)
        stream.flush()
        os.fsync(stream.fileno())
