"""What the scheduler's clocks say now: each CPU has one of its own (kernel/sched/core.c, update_rq_clock_task).

They stand still for a CPU while it serves interrupts or the hypervisor runs somebody else: on a virtual machine two of
them were 3 s apart after two hours. So how long ago a thread ran is told by the clock of the CPU that it ran on.
"""

from __future__ import annotations

import os
from contextlib import suppress

from airmem.kernel.reader import KernelReader
from airmem.kernel.task import parse_schedule

MOST_CPUS = 1024
"""A look at each takes some 50 us."""


def read_cpu_clocks() -> list[tuple[int, float]]:
    """Return (CPU, seconds on its clock) of each CPU that this thread may run on; none where no file tells.

    The thread goes to each in turn: the kernel notes when it began to run there.
    """
    found: list[tuple[int, float]] = []
    allowed = os.sched_getaffinity(0)
    reader = KernelReader()
    try:
        for cpu in sorted(allowed)[:MOST_CPUS]:
            with suppress(OSError):  # taken away meanwhile, or no such file in this kernel
                os.sched_setaffinity(0, {cpu})
                ran_at_seconds = parse_schedule(reader.read("/proc/thread-self/sched")).ran_at_seconds
                if ran_at_seconds is not None:
                    found.append((cpu, ran_at_seconds))
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, allowed)
    return found
