"""A process as the kernel names it."""

from __future__ import annotations

from airmem.model.noun import noun, replace

EXITING = 0x00000004
KERNEL_THREAD = 0x00200000
FORKED_WITHOUT_EXEC = 0x00000040
UNTOLD = "?"
"""The state of a process of which only memory is known, from another tool's output: no parent and no start."""


@noun
class Process:
    """One process, from /proc/PID/stat and /proc/PID/cmdline (proc(5)).

    `flags` are the kernel's PF_* bits (include/linux/sched.h). `arguments` is the command line without secrets;
    it is empty for kernel threads and zombies. `rss_pages` lags behind: the kernel keeps it per CPU.
    """

    pid: int
    parent_pid: int
    start_ticks: int
    command: str
    state: str
    session_id: int
    flags: int
    thread_count: int
    rss_pages: int
    arguments: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[int, int]:
        """What identifies this process for all time, though its pid may be reused: (pid, start in clock ticks)."""
        return self.pid, self.start_ticks

    @property
    def title(self) -> str:
        """The command line as one text; where there is none the kernel's short name in brackets, untold `?`."""
        if self.arguments:
            return " ".join(self.arguments)
        return self.command if self.is_untold else f"[{self.command}]"

    @property
    def is_kernel_thread(self) -> bool:
        """Whether this is a thread of the kernel (PF_KTHREAD), which has no memory of its own."""
        return bool(self.flags & KERNEL_THREAD)

    @property
    def is_untold(self) -> bool:
        """Whether its parent and start are unknown, and its pid too where that is 0: no stat line was read."""
        return self.state == UNTOLD

    @property
    def is_zombie(self) -> bool:
        """Whether it has ended with all its threads and waits for its parent to ask for its exit status."""
        return self.state in "ZXx" and self.thread_count <= 1

    @property
    def has_lost_first(self) -> bool:
        """Whether its first thread has ended (pthread_exit) and others run on: /proc/PID itself shows no memory."""
        return self.state in "ZXx" and self.thread_count > 1

    @property
    def is_ending(self) -> bool:
        """Whether it is a zombie or about to be one (PF_EXITING): its memory is gone, and its files are root's."""
        return self.is_zombie or (bool(self.flags & EXITING) and self.thread_count <= 1)

    @property
    def why_empty(self) -> tuple[str, str] | None:
        """Why it certainly has no memory as (reason, detail), None if it may have some."""
        if self.is_kernel_thread:
            return "kernel_thread", f"process {self.pid} is a thread of the kernel, which has no memory of its own"
        if self.is_zombie:
            detail = f"process {self.pid} has ended and holds no memory; its parent has not asked for its status"
            return "zombie", detail
        return None

    @property
    def is_forked(self) -> bool:
        """Whether it was forked and has not called exec since (PF_FORKNOEXEC): it began with its parent's pages."""
        return bool(self.flags & FORKED_WITHOUT_EXEC)

    def with_arguments(self, arguments: tuple[str, ...]) -> Process:
        """Return the same process with its command line filled in."""
        return replace(self, arguments=arguments)
