"""`python -m airmem` and the `airmem` script: a process that lives for one command."""

from __future__ import annotations

import gc
import os
import sys

# One command makes no garbage worth collecting; the collector would cost more than reading a small tree.
gc.disable()


def run() -> None:
    """Run the command line and leave at once: tearing the interpreter down takes longer than reading 10 processes."""
    try:
        from airmem.cli import main  # noqa: PLC0415  # after gc.disable

        status = main()
    except KeyboardInterrupt:  # before main could say so
        status = 130
    except MemoryError:  # likewise
        os.write(2, b"airmem: not enough memory to start: ulimit -v\n")
        status = 5
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # as it is when the caller has closed it
                stream.flush()
        except (OSError, ValueError):
            status = status or 1
    os._exit(status)


if __name__ == "__main__":
    run()
