"""The debugger through which memray gets into a process."""

from __future__ import annotations

from airmem.probes.runner import find_program


def find_debugger() -> str:
    """Return the path of gdb, empty if there is none.

    lldb is not used: how to interrupt it without harm to the target is not known.
    """
    return find_program("gdb") or ""
