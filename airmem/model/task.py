"""What the kernel says of threads that stand or run: one look at /proc/PID/task."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class SystemCall:
    """What a thread asked of the kernel when it was looked at (/proc/PID/syscall).

    `name` as in the manual's section 2, `?` for a number that this version does not know, empty where the thread is in
    no system call: it ran in user space (`is_running`), or is stopped by a page fault or signal (`number` -1).
    `arguments` are the six registers as unsigned 64-bit words.
    """

    name: str
    number: int
    arguments: tuple[int, ...]
    stack_address: int
    program_address: int
    is_running: bool = False


@noun
class Task:
    """One thread at one look.

    `state` is the letter of /proc/PID/stat. `system_call` is None where it cannot be read (that needs the right to
    ptrace). `wait_channel` is the kernel function it sleeps in, empty if it runs or that cannot be read.
    `idle_seconds` is how long ago it last ran, by the clock of its CPU, None where /proc/PID/sched does not exist.
    `user_ticks` and `system_ticks` are its CPU time since its start.
    """

    tid: int
    command: str
    state: str
    system_call: SystemCall | None
    wait_channel: str
    idle_seconds: float | None
    user_ticks: int
    system_ticks: int
    voluntary_switch_count: int | None
    involuntary_switch_count: int | None
    start_ticks: int

    @property
    def cpu_ticks(self) -> int:
        """User and system time together."""
        return self.user_ticks + self.system_ticks


@noun
class ProcessLook:
    """The threads of a process at one look, by ascending tid; `state` is the whole process's."""

    pid: int
    start_ticks: int
    parent_pid: int
    state: str
    tasks: tuple[Task, ...]

    def task(self, tid: int) -> Task | None:
        """Return one thread, None if it was not there."""
        return next((one for one in self.tasks if one.tid == tid), None)


@noun
class TreeLook:
    """All processes of a tree within a few milliseconds. `at_seconds` since the first look began.

    `processes` by pid; one that has ended is missing. `has_stacks_before` tells whether py-spy ran before this look.
    """

    at_seconds: float
    has_stacks_before: bool
    processes: dict[int, ProcessLook]
