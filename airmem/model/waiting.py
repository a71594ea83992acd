"""Facts about a tree of processes that stands still: several looks, the stacks, and what is shared by all."""

from __future__ import annotations

from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.descriptor import Descriptor, HeldLock, Holder, Socket
    from airmem.model.gap import Gap
    from airmem.model.process import Process
    from airmem.model.snapshot import Host
    from airmem.model.stack import ProcessStacks
    from airmem.model.task import TreeLook


@noun
class MappedFile:
    """A mapping of a process (/proc/PID/maps): addresses, permissions (`rw-p`, `rw-s`), and what is mapped.

    (device, inode) tells whether two processes map the same file, whatever its name; inode 0 is no file.
    """

    start_address: int
    end_address: int
    permissions: str
    offset_bytes: int
    device: str
    inode: int
    name: str

    @property
    def is_shared(self) -> bool:
        """Whether what one process writes another sees."""
        return self.permissions.endswith("s")


@noun
class Mount:
    """A mount of a process's mount namespace (/proc/PID/mountinfo), in its order: later ones cover earlier ones."""

    point: str
    fstype: str
    source: str
    device: str


@noun
class CgroupPressure:
    """What the control groups of a process do to it; None where it cannot be told.

    `freezer_path` and `memory_path` are the groups' paths, as in /proc/PID/cgroup; their `_folder`s as mounted where
    airmem runs, empty if they are not. `memory_full_ratio` is the share of the last 10 s in which all its tasks stood
    for memory (memory.pressure). `is_oom_stalled` is version 1's under_oom with the OOM killer off.
    """

    freezer_path: str
    freezer_folder: str
    is_frozen: bool | None
    memory_path: str
    memory_folder: str
    memory_full_ratio: float | None
    memory_high_count: int | None
    oom_kill_count: int | None
    is_oom_stalled: bool | None


@noun
class HangProcess:
    """One process of the tree, read at the first look; what could not be read is None and has a gap.

    `process` has its command line without secrets. `living_pid` is the thread under whose id its memory and files show:
    its pid, unless the first thread has ended and others run on. `depth` is full, status where its memory cannot be
    looked at, none for a zombie. `python_version` is empty for what is not Python (`has_python`). `caught_signals_mask`
    is SigCgt: bit N-1 for signal N. `tracer_pid` is 0 for nobody. `executable` is where exe points.
    `network_namespace`, `pid_namespace` and `mount_namespace` are links like `net:[4026531840]`, empty if unreadable.
    `namespace_pid` is its pid in its own pid namespace, which its system calls use. `descriptors` by number.
    """

    process: Process
    living_pid: int
    depth: str
    has_python: bool
    python_version: str
    executable: str
    tracer_pid: int
    caught_signals_mask: int | None
    user_id: int | None
    network_namespace: str
    pid_namespace: str
    namespace_pid: int
    mount_namespace: str
    descriptors: dict[int, Descriptor] | None
    mappings: tuple[MappedFile, ...] | None
    mounts: tuple[Mount, ...] | None
    cgroup: CgroupPressure | None


@noun
class HangSnapshot:
    """All that was read of one or several trees of processes, over a short window.

    `processes` by pid: parents before children. `looks` in time order: those before py-spy, then one after it.
    `stacks` by pid: the first look has locals, further ones only for processes that used CPU; a process without any
    has a gap, or is not Python. `sockets` and `holders` by inode: holders are all processes that can be seen, in the
    tree or not, of pipes and sockets. `outsiders` are processes outside the trees that hold another end. `file_locks`
    is /proc/locks. `machine` as uname says. `realtime_seconds`, `monotonic_seconds` and `boot_seconds` are three clocks
    read together when the last look before py-spy began, to compare deadlines with. `paused_seconds` by pid.
    """

    root_pids: tuple[int, ...]
    host: Host
    machine: str
    ticks_per_second_count: int
    taken_at_seconds: float
    window_seconds: float
    realtime_seconds: float
    monotonic_seconds: float
    boot_seconds: float
    processes: dict[int, HangProcess]
    looks: tuple[TreeLook, ...]
    stacks: dict[int, tuple[ProcessStacks, ...]]
    sockets: dict[int, Socket]
    holders: dict[int, tuple[Holder, ...]]
    outsiders: dict[int, Process]
    file_locks: tuple[HeldLock, ...]
    gaps: tuple[Gap, ...]
