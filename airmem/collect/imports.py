"""What an import is measured with: which Python, which environment, which revision; and since when a line is there."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress

from airmem.collect import clock
from airmem.errors import NotMeasurable, UsageProblem
from airmem.probes.importer import ImportRequest, last_line, run_import

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from airmem.model.import_cost import ImportRecord, ModuleCost
    from airmem.probes.runner import Completed

__all__ = ["ImportRequest"]

GIT_SECONDS = 60.0


def find_python(given: str | None, running: str | None = None, service: str | None = None) -> str:
    """Return the interpreter to measure with: the one given (or that of a virtual environment), else that of a running
    component, else the one beside the service's program in PATH, else airmem's own.

    Errors: UsageProblem when a folder has no python, NotMeasurable when a service has none.
    """
    if given is not None:
        if not os.path.isdir(given):
            return given
        inside = os.path.join(given, "bin", "python")
        if not os.path.exists(inside):
            raise UsageProblem(f"{given} has no bin/python", "Give a virtual environment that is whole, or its python.")
        return inside
    if running is not None:
        return running
    if service is None:
        return sys.executable
    beside = _python_beside(_which(service))
    if beside is None:
        cause = f"no {service} runs here and none is in PATH"
        raise NotMeasurable(cause, f"Give its interpreter: --python /path/of/the/venv/with/{service}/bin/python")
    return beside


def looks_like_python(text: str) -> bool:
    """Tell whether a text names an interpreter or a virtual environment here."""
    return os.path.isfile(os.path.join(text, "bin", "python")) or (os.sep in text and os.path.isfile(text))


def python_of(arguments: tuple[str, ...]) -> str | None:
    """Return the interpreter that a command line begins with, if it is a file here; a title that was set is none."""
    first = arguments[0] if arguments else ""
    is_python = os.path.basename(first).startswith("python")
    return first if is_python and os.path.isabs(first) and os.access(first, os.X_OK) else None


def _python_beside(program: str | None) -> str | None:
    if program is None:
        return None
    places = (os.path.dirname(program), os.path.dirname(os.path.realpath(program)))
    found = (os.path.join(place, "python") for place in places)
    return next((path for path in found if os.access(path, os.X_OK)), None)


@contextmanager
def import_environment() -> Iterator[dict[str, str]]:
    """Yield the environment for children: airmem's own, and a home for Airflow that goes afterwards if there is none.

    Importing Airflow makes its home folder and a configuration where there is none; a measure must not leave that.
    """
    environment = dict(os.environ)
    if "AIRFLOW_HOME" in environment or os.path.exists(os.path.expanduser("~/airflow")):
        yield environment
        return
    # tempfile would cost as much as the rest of the start
    home = os.path.join(os.environ.get("TMPDIR") or "/tmp", f"airmem-imports-{os.urandom(8).hex()}")  # noqa: S108
    os.mkdir(home, 0o700)
    try:
        yield {**environment, "AIRFLOW_HOME": home}
    finally:
        try:
            os.rmdir(home)
        except OSError:  # Airflow was imported
            from shutil import rmtree  # noqa: PLC0415  # loads compression libraries

            rmtree(home, ignore_errors=True)


def collect_record(
    python: str, request: ImportRequest, deadline_seconds: float, environment: dict[str, str], cwd: str | None = None
) -> ImportRecord:
    """Return what importing did to a fresh child of an interpreter. Errors: NotMeasurable where it cannot be run."""
    return run_import(python, request, deadline_seconds=deadline_seconds, environment=environment, cwd=cwd)


@contextmanager
def exported_revision(revision: str, python: str) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Yield a folder that holds a git revision at the place of the current folder, and what to look up there instead.

    The repository is only read (git archive). Bytecode is made in the copy, since the real code has its own already.
    Errors: UsageProblem when this is no repository or has no such revision, NotMeasurable when git or tar is missing.
    """
    from tempfile import TemporaryDirectory  # noqa: PLC0415  # only for revisions

    top = os.path.realpath(_git("rev-parse", "--show-toplevel"))
    with TemporaryDirectory(prefix="airmem-revision-") as folder:
        archive = os.path.join(folder, "archive.tar")
        _git("-C", top, "archive", "--format=tar", f"--output={archive}", revision)
        copy = os.path.join(folder, "tree")
        os.mkdir(copy)
        unpacked = _complete([_program("tar"), "-xf", archive, "-C", copy])
        if unpacked.status != 0:
            cause = f"the archive of {revision} cannot be unpacked: {last_line(unpacked.stderr)}"
            raise NotMeasurable(cause, "Give $TMPDIR a place that has room.")
        _complete([python, "-m", "compileall", "-q", copy])  # what does not compile is not imported, either
        place = os.path.normpath(os.path.join(copy, os.path.relpath(os.path.realpath(os.getcwd()), top)))
        if not os.path.isdir(place):
            raise UsageProblem(f"{revision} has no {os.path.relpath(os.getcwd(), top)}", "Run airmem higher up.")
        yield place, ((top, copy),)


def is_revision(text: str) -> bool:
    """Tell whether git, in the current folder, knows a commit by this name."""
    if _which("git") is None or text.startswith("-"):
        return False
    return _complete(["git", "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}"]).status == 0


def why_git_refuses() -> str:
    """Return what git says where it does not read the repository of the current folder, empty if it reads it."""
    if _which("git") is None:
        return ""
    done = _complete(["git", "rev-parse", "--git-dir"])
    said = done.stderr.decode(errors="replace").strip().split("\n")
    return said[0].removeprefix("fatal: ") if done.status != 0 else ""


def collect_since(module: ModuleCost) -> tuple[float | None, str]:
    """Return since when a module is imported, in seconds since 1970, and what tells it.

    The commit of the line that imports it, where that is in a git repository; else when the module was installed.
    """
    line = module.lines[0] if module.lines else None
    path, number = (line.path, line.line) if line is not None else (module.importer_path, module.line)
    if path and number:
        blamed = _blame(path, number)
        if blamed is not None:
            return blamed
    with suppress(OSError, ValueError):
        return os.stat(module.origin).st_mtime, "installed"
    return None, ""


def _blame(path: str, number: int) -> tuple[float, str] | None:
    folder = os.path.dirname(path)
    if _which("git") is None or not os.path.isdir(folder):
        return None
    lines = f"-L{number},{number}"
    done = _complete(["git", "-C", folder, "blame", "--porcelain", lines, "--", os.path.basename(path)])
    if done.status != 0:
        return None
    words = dict(line.partition(" ")[::2] for line in done.stdout.decode(errors="replace").splitlines()[:12])
    commit = done.stdout[:8].decode(errors="replace")
    if not commit.strip("0"):
        return clock.now_seconds(), "not committed yet"
    author_time = words.get("author-time", "")
    return (float(author_time), f"commit {commit}") if author_time.isdigit() else None


def _git(*arguments: str) -> str:
    done = _complete([_program("git"), *arguments])
    if done.status != 0:
        raise UsageProblem(f"git says: {last_line(done.stderr)}", "Run airmem in the repository, and name a revision.")
    return done.stdout.decode(errors="surrogateescape").rstrip("\n")


def _complete(argv: list[str]) -> Completed:
    from airmem.probes.runner import run_program  # noqa: PLC0415  # loads subprocess

    return run_program(argv, deadline_seconds=GIT_SECONDS)


def _which(name: str) -> str | None:
    from shutil import which  # noqa: PLC0415  # loads compression libraries

    return which(name)


def _program(name: str) -> str:
    found = _which(name)
    if found is None:
        raise NotMeasurable(f"{name} is not installed here", f"Install {name}.")
    return found
