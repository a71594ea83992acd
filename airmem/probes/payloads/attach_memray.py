"""Runs `memray attach` and `memray detach`, so that they ask nothing of a target where it just happens to be.

    PYTHON attach_memray.py attach|detach ARGUMENTS...

memray 1.20 lets its debugger call access(2) in the target as soon as that is stopped. gdb hands the path over by
calling malloc there. A target that was stopped inside malloc then waits for a lock that it holds itself until the
debugger is interrupted (4 of 50 detachings from one that only allocates), or may have its heap damaged where it has one
thread and no lock. The question works as well a moment later, at the breakpoint where memray asks all the others.
"""

from __future__ import annotations

import os
import sys

FIRST = 'p "Checking if we can access the library"\n'
LAST = "\nend\n"
BEFORE = "    delete breakpoints\n"


def mend(script: str) -> str:
    """Return memray's script for gdb with that question moved; as it is if it has none, or another form."""
    begin = script.find(FIRST)
    end = script.find(LAST, begin) + len(LAST)
    place = script.find(BEFORE, end)
    if begin < 0 or end < len(LAST) or place < 0:
        return script
    question = script[begin:end]
    at = place + len(BEFORE)
    return script[:begin] + script[end:at] + question + script[at:]


def main() -> int | None:
    """Run memray with the script as it should be."""
    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        del sys.path[0]  # this folder: what is in it must not hide what memray imports
    from memray import commands  # noqa: PLC0415  # only when the search path is as it should be
    from memray.commands import attach  # noqa: PLC0415

    sys.argv[0] = "memray"
    path = getattr(attach, "GDB_SCRIPT", None)
    if path is not None:
        file = os.memfd_create("attach.gdb")  # no disk, which may be full
        os.write(file, mend(path.read_text()).encode())
        attach.GDB_SCRIPT = f"/proc/{os.getpid()}/fd/{file}"  # type: ignore[assignment]  # it is only shown to gdb
    return commands.main()


if __name__ == "__main__":
    sys.exit(main())
