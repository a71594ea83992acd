"""The command line: read by airmem itself where it is plain, else by click; errors become exit statuses."""

from __future__ import annotations

import os
import sys
from errno import ENOMEM

from airmem.commands import answer_plain
from airmem.errors import AirmemError

FAULT = 70
INTERRUPTED = 130
UNMEASURABLE = 5
COMPLETION = "_AIRMEM_COMPLETE"
"""The variable by which a shell asks click for what could follow."""

NO_THREAD = "can't start new thread"
LITTLE_MEMORY = (
    b"airmem: not enough memory, or no thread left, for this answer\n"
    b"  Give airmem more (ulimit -v and -u, the limits of its container), read less (cow --max-bytes, pss --depth"
    b" rollup), or make a capture and ask it elsewhere\n"
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status; no traceback reaches a person."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        status = None if COMPLETION in os.environ else answer_plain(words)
        return _run_group(words) if status is None else status
    except KeyboardInterrupt:
        return _say("interrupted", "", INTERRUPTED)
    except AirmemError as problem:
        return _say(problem.cause, problem.remedy, problem.exit_status, problem.lines)
    except (BrokenPipeError, SystemExit):
        # The reader of a pipe (head, less) has gone: nothing is wrong, and nothing more can be written. click, where
        # it meets that first, exits with 1.
        if sys.stdout is not None:  # as it is when the caller has closed it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as fault:  # the last barrier: a bug must not look like a stack of files at 3 a.m.
        return _report_fault(fault)


def _run_group(words: list[str]) -> int:
    from airmem.group import run_group  # noqa: PLC0415  # with click: it costs more than reading a small tree

    return run_group(words)


def _say(cause: str, remedy: str, status: int, lines: tuple[str, ...] = ()) -> int:
    from airmem.render.escape import escape  # noqa: PLC0415

    text = "\n  ".join([escape(line) for line in (f"airmem: {cause}", *lines, remedy) if line])
    try:
        if sys.stderr is not None:  # as it is when the caller has closed it
            sys.stderr.write(text + "\n")
    except OSError:
        pass  # a full disk, or nobody who reads: the status tells
    return status


def _is_memory(fault: Exception) -> bool:
    if isinstance(fault, OSError):
        return fault.errno == ENOMEM
    # A library that found no room, in the words of the dynamic linker, and a thread, in those of CPython.
    return isinstance(fault, MemoryError) or any(words in str(fault) for words in ("failed to map segment", NO_THREAD))


def _report_fault(fault: Exception) -> int:
    try:
        if not _is_memory(fault):
            return _report_bug(fault)
    except MemoryError:
        pass  # what came before it was memory too, by another name
    # What is ready is written as it is: where memory is short, nothing else can be imported or put together.
    os.write(2, LITTLE_MEMORY)
    return UNMEASURABLE


def _report_bug(fault: Exception) -> int:
    import traceback  # noqa: PLC0415

    if os.environ.get("AIRMEM_TRACEBACK"):
        traceback.print_exception(fault)
    place = traceback.extract_tb(fault.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"
    remedy = "This is a fault of airmem; AIRMEM_TRACEBACK=1 shows where. Please report it."
    return _say(f"{type(fault).__name__} in {where}: {fault}", remedy, FAULT)
