"""One snapshot of a tree with everything at hand: its threads, their movement, and what lies behind a descriptor."""

from __future__ import annotations

from functools import cached_property, partial

from airmem.analysis.waiting.lock_syntax import LockSyntax
from airmem.cpython.objects_at import Objects

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.descriptor import Descriptor, Socket
    from airmem.model.stack import Frame, ProcessStacks, ThreadStack
    from airmem.model.target import Memory, Sources
    from airmem.model.task import SystemCall, Task
    from airmem.model.waiting import HangProcess, HangSnapshot, MappedFile

LIBRARY_MARKS = ("/lib/python3", "/lib64/python3", "/site-packages/", "/dist-packages/", "<frozen ", "<string>")
STANDARD_MARKS = ("/lib/python3", "/lib64/python3", "<frozen ")
MOVING_SWITCHES_PER_SECOND = 30
"""A thread that gives up its CPU this often does things, though it was asleep at every look (measured: a thread that
begs for the GIL 200, a poller with a sleep of 0.1 s 10)."""

MOST_SEARCHED_BYTES = 512 << 20
MOST_SEARCHED_IN_ALL_BYTES = 3 << 30
"""How much of one process, and of all, is searched for pointers: about a second for each GiB (measured)."""

MOST_PROGRAM_BYTES = 8 << 20
"""A private writable mapping of a file that is larger is no program's data."""

PAGE_BYTES = 4096
PTHREAD_RANGE = (640, 1024)
"""Where in struct pthread the thread's id is looked for: at 720 on x86-64 in glibc 2.4 to 2.41."""


def is_library(frame: Frame) -> bool:
    """Whether a frame is of the standard library or of an installed package."""
    return any(mark in frame.file for mark in LIBRARY_MARKS) or is_console_script(frame)


def is_console_script(frame: Frame) -> bool:
    """Whether a frame is of a command that pip made for a package: `.../bin/airflow`."""
    folder, _, name = frame.file.rpartition("/")
    return folder.endswith("/bin") and "." not in name


def is_standard(frame: Frame) -> bool:
    """Whether a frame is of the standard library."""
    installed = "/site-packages/" in frame.file or "/dist-packages/" in frame.file
    return not installed and any(mark in frame.file for mark in STANDARD_MARKS)


def _may_hold_objects(mapping: MappedFile) -> bool:
    if mapping.inode:
        return mapping.end_address - mapping.start_address <= MOST_PROGRAM_BYTES and mapping.name.startswith("/")
    return mapping.name in ("", "[heap]") or mapping.name.startswith("[anon")


def _above_stack(mapping: MappedFile, idents: list[int]) -> tuple[int, int]:
    """Return (start, size) of a mapping without a thread's stack: that ends with struct pthread, which is the ident."""
    inside = [one for one in idents if mapping.start_address <= one < mapping.end_address]
    start = max([mapping.start_address, *(one // PAGE_BYTES * PAGE_BYTES for one in inside)])
    return start, mapping.end_address - start


class Thread:
    """One thread over the whole window."""

    def __init__(
        self, process: HangProcess, tasks: list[Task], stacks: list[ThreadStack], spans: tuple[float, float]
    ) -> None:
        self.process = process
        self.pid = process.process.pid
        self.tasks = tasks
        self.later: Task | None = None
        self.task = tasks[-1]
        self.tid = self.task.tid
        self.stacks = stacks
        self.stack = stacks[0] if stacks else None
        self.frames: tuple[Frame, ...] = tuple(one for stack in stacks[:1] for one in stack.frames if not one.is_native)
        self._window_seconds, self._ticks_per_second = spans

    @property
    def is_main(self) -> bool:
        """Whether this is the process's first thread."""
        return self.tid == self.pid

    @property
    def name(self) -> str | None:
        """The raw name; the first thread's is MainThread where nobody gave it one."""
        name = self.stack.name if self.stack else None
        return "MainThread" if name is None and self.is_main else name

    @property
    def label(self) -> str:
        """A name to print: that of the thread, or its number."""
        return self.name or f"thread {self.tid}"

    @property
    def ident(self) -> int:
        """threading.get_ident() in the process, 0 where unknown."""
        return self.stack.ident if self.stack else 0

    @property
    def owns_gil(self) -> bool:
        """Whether the interpreter says that this thread holds the GIL."""
        return bool(self.stack and self.stack.owns_gil)

    @property
    def call(self) -> SystemCall | None:
        """The system call of the last look before py-spy."""
        return self.task.system_call

    @property
    def call_name(self) -> str:
        """Its name, empty where there is none or nobody may know."""
        return self.task.system_call.name if self.task.system_call else ""

    @property
    def arguments(self) -> tuple[int, ...]:
        """Its six arguments, zeros where unknown."""
        call = self.task.system_call
        return (*(call.arguments if call else ()), 0, 0, 0, 0, 0, 0)[:6]

    @cached_property
    def cpu_ratio(self) -> float:
        """Its CPU time over the window, as a part of one CPU."""
        if self._window_seconds <= 0:
            return 0.0
        ticks = self.task.cpu_ticks - self.tasks[0].cpu_ticks
        return ticks / self._ticks_per_second / self._window_seconds

    @cached_property
    def switches_per_second(self) -> float:
        """How often it went to sleep by itself."""
        first, last = self.tasks[0].voluntary_switch_count, self.task.voluntary_switch_count
        if first is None or last is None or self._window_seconds <= 0:
            return 0.0
        return (last - first) / self._window_seconds

    @cached_property
    def is_still(self) -> bool:
        """Whether each look saw it in the same system call with the same arguments, the one after py-spy, too."""
        calls = [task.system_call for task in self.tasks]
        seen = {(call.name, call.arguments, call.is_running) if call else None for call in calls}
        later = self.later.system_call if self.later else None
        has_moved = later is not None and (later.name, later.arguments, later.is_running) not in seen
        return len(seen) == 1 and not has_moved and (calls[0] is None or not calls[0].is_running)

    @property
    def since_seconds(self) -> float | None:
        """How long ago it last ran, None where the kernel does not tell."""
        return self.task.idle_seconds


class Scene:
    """The snapshot, by thread, with indexes over sockets and pipes. `memory` and `sources` look into the targets.

    `is_search_cut` tells that memory was left unsearched, so that what was not found may be there.
    `semaphore_addresses` are where objects of each shared semaphore, by device and inode, were found: forked processes
    have it at the same address. `exits` are the `with` blocks of a lock on a thread's stack, by pid, tid and lock.
    """

    def __init__(self, snapshot: HangSnapshot, memory: Memory, sources: Sources) -> None:
        self.snapshot = snapshot
        self.memory = memory
        self._sources = sources
        self._objects: dict[int, Objects] = {}
        self._found: dict[tuple[int, bytes], tuple[int, ...]] = {}
        self.is_search_cut = False
        self.timeouts: dict[tuple[int, int], float | None] = {}
        self.exits: dict[tuple[int, int, int], frozenset[int]] = {}
        self.sleeps: dict[tuple[int, int], float | None] = {}
        self.semaphore_addresses: dict[tuple[str, int], list[int]] = {}
        self._search_left_bytes = MOST_SEARCHED_IN_ALL_BYTES
        self._syntax: dict[tuple[str, str, str], LockSyntax] = {}
        self.looks = [look for look in snapshot.looks if not look.has_stacks_before] or list(snapshot.looks)
        self.threads: dict[tuple[int, int], Thread] = {}
        self.by_process: dict[int, list[Thread]] = {}
        for pid in snapshot.processes:
            self._add(pid)
        self._by_address = {(one.local, one.remote): one for one in snapshot.sockets.values() if one.family != "unix"}

    def _add(self, pid: int) -> None:
        process = self.snapshot.processes[pid]
        tasks: dict[int, list[Task]] = {}
        last = self.looks[-1].processes.get(pid) if self.looks else None
        if last is None or last.start_ticks != process.process.start_ticks:
            return
        for look in self.looks:
            seen = look.processes.get(pid)
            for task in seen.tasks if seen and seen.start_ticks == process.process.start_ticks else ():
                tasks.setdefault(task.tid, []).append(task)
        present = {task.tid for task in last.tasks}
        dumps = self.snapshot.stacks.get(pid, ())
        idents = self._tids_of_idents(process, dumps, present)
        spans = (self.looks[-1].at_seconds - self.looks[0].at_seconds, float(self.snapshot.ticks_per_second_count))
        for tid in sorted(present):
            stacks = [
                each for dump in dumps for each in dump.threads if each.tid == tid or idents.get(each.ident) == tid
            ]
            thread = Thread(process, tasks[tid], stacks, spans)
            thread.later = self._later(pid, tid)
            self.threads[pid, tid] = thread
            self.by_process.setdefault(pid, []).append(thread)

    def _tids_of_idents(self, process: HangProcess, dumps: tuple[ProcessStacks, ...], tids: set[int]) -> dict[int, int]:
        """Return the kernel's ids of threads that py-spy could only name by their ident: before Python 3.11.

        The ident is the address of glibc's struct pthread, in which the kernel's id stands some 700 bytes on
        (nptl/descr.h); it must be one of the process's threads.
        """
        pid = process.process.pid
        nameless = {one.ident for dump in dumps for one in dump.threads if one.tid is None}
        if len(tids) == 1 and len(nameless) == 1:
            return dict.fromkeys(nameless, pid)
        found = {}
        for ident in nameless if process.namespace_pid == pid else ():
            raw = self.read(pid, ident + PTHREAD_RANGE[0], PTHREAD_RANGE[1] - PTHREAD_RANGE[0])
            words = [int.from_bytes(raw[at : at + 4], "little") for at in range(0, len(raw), 4)] if raw else []
            named = [word for word in words if word in tids]
            if named:
                found[ident] = named[0]
        return found

    def _later(self, pid: int, tid: int) -> Task | None:
        """Return what the look after py-spy saw of a thread."""
        for look in self.snapshot.looks:
            if look.has_stacks_before and pid in look.processes:
                return look.processes[pid].task(tid)
        return None

    def python_threads(self, pid: int) -> list[Thread]:
        """Return the threads of a process that have Python frames."""
        return [one for one in self.by_process.get(pid, []) if one.stack is not None]

    def dumps(self, pid: int) -> tuple[ProcessStacks, ...]:
        """Return the looks at the stacks of a process."""
        return self.snapshot.stacks.get(pid, ())

    def read(self, pid: int, address: int, size_bytes: int) -> bytes | None:
        """Return memory of a process of the tree, None if not all of it can be read."""
        if not 0 < address < 1 << 63:
            return None
        found = self.memory.read(self.snapshot.processes[pid].process.key, address, size_bytes)
        return found if found is not None and len(found) == size_bytes else None

    def objects(self, pid: int) -> Objects:
        """Return the interpreter's objects of a process."""
        if pid not in self._objects:
            self._objects[pid] = Objects(partial(self.read, pid), partial(self._find, pid))
        return self._objects[pid]

    def _find(self, pid: int, word: bytes) -> tuple[int, ...]:
        """Search the heap of a process: its writable private memory that no file backs, and the data of programs.

        In the latter lies the state of the interpreter's first thread (_PyRuntime, from 3.11 on).
        """
        name = (pid, word)
        if name not in self._found:
            idents = [one.ident for one in self.by_process.get(pid, []) if not one.is_main]
            heap = [
                _above_stack(one, idents)
                for one in self.snapshot.processes[pid].mappings or ()
                if one.permissions == "rw-p" and _may_hold_objects(one)
            ]
            limit = min(MOST_SEARCHED_BYTES, self._search_left_bytes)
            self.is_search_cut |= sum(size for _, size in heap) > limit
            self._search_left_bytes -= min(limit, sum(size for _, size in heap))
            key = self.snapshot.processes[pid].process.key
            self._found[name] = self.memory.find(key, word, heap, limit) if limit > 0 else ()
        return self._found[name]

    def syntax(self, pid: int, frame: Frame) -> LockSyntax:
        """Return the source of a frame's file, parsed; processes of one executable and mount namespace share it."""
        process = self.snapshot.processes[pid]
        name = (process.mount_namespace or str(pid), process.executable, frame.file)
        if name not in self._syntax:
            readable = not frame.file.startswith("<") and not frame.is_native
            text = self._sources.text(process.process.key, frame.file) if readable else None
            self._syntax[name] = LockSyntax(text)
        return self._syntax[name]

    def descriptor(self, pid: int, number: int) -> Descriptor | None:
        """Return an open descriptor of a process of the tree."""
        return (self.snapshot.processes[pid].descriptors or {}).get(number)

    def socket(self, descriptor: Descriptor | None) -> Socket | None:
        """Return the socket that a descriptor is, None for anything else."""
        if descriptor is None or descriptor.inode is None or not descriptor.link.startswith("socket:"):
            return None
        return self.snapshot.sockets.get(descriptor.inode)

    def users(self, inode: int | None, access: str = "") -> list[int]:
        """Return the pids that have a pipe or socket open; `access` r or w: only those that can do that."""
        holders = self.snapshot.holders.get(inode or 0, ())
        return sorted({one.pid for one in holders if not access or access in one.access})

    def openers(self, file: Descriptor, access: str) -> list[int]:
        """Return the pids of the tree that have the same file open for this access: the ends of a named pipe."""
        found = set()
        for pid, process in self.snapshot.processes.items():
            for one in (process.descriptors or {}).values():
                is_same = one.link == file.link and (one.inode, one.device) == (file.inode, file.device)
                if is_same and access in one.access:
                    found.add(pid)
        return sorted(found)

    def peers(self, socket: Socket) -> list[int]:
        """Return the pids at the other end of a socket, as far as it is on this machine."""
        if socket.family == "unix":
            found = self.users(socket.peer_inode)
            return found or (self._listeners(socket) if socket.peer_inode is None and socket.local == "" else [])
        other = self._by_address.get((socket.remote, socket.local))
        return (self.users(other.inode) if other and other.inode else []) or self._listeners(socket)

    def _listeners(self, socket: Socket) -> list[int]:
        """Return who listens where a socket connects to, and has not accepted it yet."""
        if socket.family == "unix":
            return []
        host = socket.remote.rpartition(":")[0]
        if not host.startswith(("127.", "[::1", "::1")):
            return []
        found = []
        for one in self.snapshot.sockets.values():
            is_server = one.state == "LISTEN" or (one.family.startswith("udp") and not one.remote)
            if is_server and one.local_port_id == socket.remote_port_id and one.family[:3] == socket.family[:3]:
                found += self.users(one.inode)
        return sorted(set(found))
