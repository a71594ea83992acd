"""Imports modules under memray, each below a frame of its own, so that a capture tells whose allocation is whose.

Runs beside import_recorder.py, whose functions it uses: `python import_tracer.py '{"modules": ["json"], "out": FILE}'`.
Standard output are lines: V, memray's version and whether it is borrowed; M and a module that memray's own import had
loaded already; X as in import_recorder.py; Z at the end.
"""

from __future__ import annotations

import os
import sys

from import_recorder import MACHINERY, Recorder, clean, import_all, parse  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def frame_of(name: str) -> Any:
    """Return a function that loads a module and whose file, in stacks, is `<import NAME>`."""

    def load(loader: Any, spec: Any) -> Any:
        return loader(spec)

    made: Any = type(load)
    return made(load.__code__.replace(co_filename=f"<import {name}>"), {})


def hook() -> None:
    """Put a frame around the loading of each module."""
    loader = MACHINERY._load_unlocked
    MACHINERY._load_unlocked = lambda spec: frame_of(clean(spec.name))(loader, spec)


def import_memray(borrowed: str) -> tuple[Any, bool]:
    """Return memray, this Python's own or else one for the same Python in another folder, and whether it is that."""
    try:
        import memray  # noqa: PLC0415
    except ImportError:
        if not borrowed:
            raise
        sys.path.append(borrowed)
        import memray  # noqa: PLC0415

        sys.path.remove(borrowed)
        return memray, True
    return memray, False


def main() -> None:
    """Do what the request, a JSON text in the first argument, asks for."""
    os.dup2(2, 1)
    request = parse(sys.argv[1])
    sys.argv[:] = ["-c"]
    sys.path[0] = ""
    recorder = Recorder()
    recorder.put("")
    before = set(sys.modules)
    memray, is_borrowed = import_memray(request.get("borrowed", ""))
    recorder.put("V", memray.__version__, int(is_borrowed))
    for name in sorted(set(sys.modules) - before):
        recorder.put("M", clean(name))
    tracker = memray.Tracker(
        destination=memray.FileDestination(request["out"], overwrite=True, compress_on_exit=False),
        trace_python_allocators=True,
        file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
    )
    sys.setrecursionlimit(sys.getrecursionlimit() * 8 // 5)
    with tracker:
        hook()
        import_all(request, recorder)
    recorder.put("Z")
    recorder.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
