"""Runs a Python program with memray recording it, in the program's own Python (3.8 or later).

    PYTHON run_traced.py '{"folder": ..., "label": ...}' SCRIPT ARGUMENTS...
    PYTHON run_traced.py '{...}' -m MODULE ARGUMENTS...
    PYTHON run_traced.py '{...}' -c CODE ARGUMENTS...

On the signal that the options name a process ends its recording and goes on: `memray detach` knows only what `memray
attach` began. A name is never used twice, and no file is ever replaced.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import time
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

    from memray import Tracker

PR_SET_PDEATHSIG = 1
NOTES_BYTES = 1 << 20


def main() -> None:
    """Record what the rest of the command line runs."""
    if may_change_path():
        sys.path.pop(0)  # this folder: what is in it must not hide what the program imports
    options, words = json.loads(sys.argv[1]), sys.argv[2:]
    sys.argv = words  # what memray writes down as the command line
    recording = Recording(make_tracker(options), options["stop_signal"], options["notes"])
    die_with(options["airmem_pid"])
    if options["owns_group"]:  # what is sent to airmem's group comes through airmem, once
        os.setpgid(0, 0)
    atexit.register(recording.end)  # the first one runs last: after the program's threads and its own exit handlers
    recording.begin()
    try:
        run(words)
    except BaseException:
        hide_own_frames()
        raise


def may_change_path() -> bool:
    """Whether the interpreter puts the program's folder first in the search path."""
    return not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated


def make_tracker(options: dict[str, Any]) -> Tracker:
    """Return memray's tracker, which does not record yet."""
    import memray  # noqa: PLC0415  # only when the search path is the program's

    file_format = memray.FileFormat.ALL_ALLOCATIONS
    if options["is_aggregated"]:
        file_format = memray.FileFormat.AGGREGATED_ALLOCATIONS
    return memray.Tracker(
        destination=memray.FileDestination(path=name_file(options)),
        native_traces=options["with_native"],
        trace_python_allocators=options["with_python_allocators"],
        follow_fork=options["follows_forks"],
        file_format=file_format,
    )


class Recording:
    """A tracker that ends once: at the program's end or on a signal, in each process by itself."""

    def __init__(self, tracker: Tracker, stop_signal: int, notes: str) -> None:
        self._tracker = tracker
        self._notes = notes
        self._is_active = False
        signal.signal(stop_signal, self._on_signal)  # forked children keep the handler, programs that they run do not

    def begin(self) -> None:
        """Begin to record."""
        self._tracker.__enter__()
        self._is_active = True

    def end(self) -> None:
        """End it, if that has not been done."""
        if self._is_active:
            self._is_active = False
            still_records = self._still_records()
            self._tracker.__exit__(None, None, None)
            if still_records is not None:
                note_end(self._notes, "recording" if still_records else "gave_up")

    def _still_records(self) -> bool | None:
        """Whether memray still records in this process: it gives up where it cannot write. None if it does not tell.

        A tracker that has begun refuses to begin again, and says whether that is because one is active.
        """
        try:
            self._tracker.__enter__()
        except RuntimeError as refusal:
            if "No more than one Tracker" in str(refusal):
                return True
            return False if "stale output handle" in str(refusal) else None
        return None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.end()


def name_file(options: dict[str, Any]) -> str:
    """Return a path that says what, where, who and when; its folder is this trace's alone."""
    when = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return os.path.join(options["folder"], f"{options['label']}-{options['host']}-{os.getpid()}-{when}.bin")


def note_end(notes: str, word: str) -> None:
    """Note how the recording of this process ended, over zeros that are there for it: the disk may be full."""
    try:
        file = os.open(notes, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # the program has another root or user by now
        return
    try:
        os.lockf(file, os.F_LOCK, 0)
        end = len(os.read(file, NOTES_BYTES).rstrip(b"\0"))
        os.pwrite(file, f"{os.getpid()} {word}\n".encode(), end)
    except OSError:
        pass
    finally:
        os.close(file)


def die_with(airmem_pid: int) -> None:
    """Ask for SIGTERM when airmem ends without having ended this: nobody would watch the disk any more."""
    try:
        import ctypes  # noqa: PLC0415  # some Pythons have none

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    except (ImportError, OSError, AttributeError):
        return
    if os.getppid() != airmem_pid:
        os.kill(os.getpid(), signal.SIGTERM)


def run(words: list[str]) -> None:
    """Run a script, a module or code as __main__, as the interpreter would.

    `runpy.run_path` would take the program's __main__ away when its last line has run, although its threads go on.
    """
    sys.modules["__main__"] = program = ModuleType("__main__")
    if words[0] == "-m":
        _begin(words[1:], os.getcwd())
        _run_module(words[1], is_named=True)
    elif words[0] == "-c":
        _begin(["-c", *words[2:]], "")
        exec(compile(words[1], "<string>", "exec", dont_inherit=True), program.__dict__)  # noqa: S102  # what -c is for
    else:
        _run_path(words, program)


def _run_path(words: list[str], program: ModuleType) -> None:
    """Run a script, compiled or not, or a folder or archive with a `__main__.py`."""
    from importlib.machinery import SourceFileLoader  # noqa: PLC0415  # recorded; the interpreter has it anyway
    from io import open_code  # noqa: PLC0415
    from pkgutil import get_importer, read_code  # noqa: PLC0415  # as runpy does

    if get_importer(words[0]) is not None:
        sys.argv = words
        sys.path.insert(0, os.path.abspath(words[0]))
        _run_module("__main__", is_named=False)
        return
    _begin(words, os.path.dirname(os.path.realpath(words[0])))
    path = os.path.abspath(words[0]) if sys.version_info >= (3, 9) else words[0]
    program.__file__ = path
    program.__loader__ = SourceFileLoader("__main__", path)
    with open_code(os.path.abspath(path)) as file:
        code = read_code(file)
        if code is None:
            file.seek(0)
            code = compile(file.read(), path, "exec", dont_inherit=True)
    exec(code, program.__dict__)  # noqa: S102  # what a script is for


def _run_module(name: str, *, is_named: bool) -> None:
    """Run a module by the function that the interpreter itself calls: it says what is missing in the same words."""
    import runpy  # noqa: PLC0415  # recorded, as it is when the interpreter runs a module

    runpy._run_module_as_main(name, alter_argv=is_named)  # type: ignore[attr-defined]


def hide_own_frames() -> None:
    """Let the exception that ends the program be shown from the program's first frame on."""
    show = sys.excepthook

    def show_rest(kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
        while trace is not None and trace.tb_frame.f_code.co_filename == main.__code__.co_filename:
            trace = trace.tb_next
        show(kind, problem.with_traceback(trace), trace)

    sys.excepthook = show_rest


def _begin(arguments: list[str], first_folder: str) -> None:
    sys.argv = arguments
    if may_change_path():
        sys.path.insert(0, first_folder)


if __name__ == "__main__":
    main()
