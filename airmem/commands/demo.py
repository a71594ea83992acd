"""`airmem demo`: a tree of processes whose memory has a known truth, to try airmem on."""

from __future__ import annotations

import click

from airmem.commands._options import Duration
from airmem.demo.modes import HANG_WORKERS, MODES
from airmem.units import MIB

EPILOG = """\b
Modes:
  none      the workers do nothing
  gc        each worker runs gc.collect() once
  refcount  each worker takes and keeps a reference to every object
  data      each worker rewrites a sixth of the heap, plain data
  frozen    the parent calls gc.freeze() before it forks, then each worker collects
  parent    the parent itself collects and rewrites data after it forked
  mixed     every other worker collects, the others rewrite data
  hang      a worker was killed while it held a lock that others wait for; one waits for an answer

\b
Examples:
  airmem demo                                   four idle workers of a 120 MB parent
  airmem demo --mode gc --workers 8             what a collection after the fork costs
  airmem demo --mode gc --for 60 & sleep 5; airmem pss $!
  airmem demo --mode hang                       a tree that stands still

Exit status: 0 at the end of --for or on SIGTERM, 2 if it cannot be started, 130 on Ctrl-C.
"""


@click.command("demo", short_help="A tree of processes with a known truth, to try it on.", epilog=EPILOG)
@click.option("--workers", type=click.IntRange(1, 1024), default=4, show_default=True, help="How many to fork.")
@click.option("--mode", type=click.Choice(tuple(MODES)), default="none", show_default=True, help="See below.")
@click.option(
    "--megabytes",
    type=click.IntRange(1, 1 << 20),
    default=120,
    show_default=True,
    help="Size of the parent's heap: objects, and a sixth of plain data.",
)
@click.option(
    "--for",
    "duration_seconds",
    type=Duration(),
    metavar="DURATION",
    help="End by itself after this time, counted from when all is ready.  [default: run until a signal]",
)
def command(workers: int, mode: str, megabytes: int, duration_seconds: float | None) -> int:
    """Start a parent that forks workers, each mode a known truth about their memory.

    Prints the pid to look at once every worker is in its final state, then stays in the foreground. All processes
    end with it, even if it is killed. It uses no network but a socket of its own on 127.0.0.1 (mode hang).
    """
    if mode == "hang" and workers < HANG_WORKERS:
        raise click.BadParameter(f"mode hang needs at least {HANG_WORKERS} workers", param_hint="--workers")
    from airmem.demo.tree import run_demo  # noqa: PLC0415  # imports ctypes and multiprocessing

    run_demo(mode, workers, megabytes * MIB, duration_seconds)
    return 0
