"""Which processes there are, and who descends from whom."""

from __future__ import annotations

from airmem.collect.gaps import gap
from airmem.errors import Malformed
from airmem.kernel.cmdline import READ_BYTES, parse_cmdline
from airmem.kernel.mountinfo import parse_mounts
from airmem.kernel.stat import parse_boot_time, parse_parent_pid, parse_stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.kernel.source import ProcessFiles, Source
    from airmem.model.gap import Gap
    from airmem.model.process import Process


def collect_processes(reader: Source, with_arguments: bool = False) -> dict[int, Process]:
    """Return every process that can be seen, by pid; with their command lines only if asked.

    One pass over /proc/PID/stat: unlike /proc/PID/task/TID/children, it does not miss processes while others exit
    (Documentation/filesystems/proc.rst, section 3.7).
    """
    processes = {}
    for pid in reader.process_ids():
        try:
            with reader.process(pid) as files:
                processes[pid] = read_process(files, with_arguments)
        except (OSError, Malformed):
            pass  # it has ended, or is not shown
    return processes


def read_process(files: ProcessFiles, with_arguments: bool) -> Process:
    """Return a process through its open folder. Errors: OSError, Malformed."""
    process = parse_stat(files.read("stat"))
    return process.with_arguments(parse_cmdline(files.read("cmdline", READ_BYTES))) if with_arguments else process


def living_thread(files: ProcessFiles, process: Process) -> int:
    """Return the thread by whose id /proc shows a process's memory and files: the first, while it lives."""
    if process.has_lost_first:
        for name in sorted(files.entries("task"), key=int):
            if int(name) != process.pid:
                return int(name)
    return process.pid


def collect_tree_processes(reader: Source, root_pid: int) -> tuple[Process, ...]:
    """Return a process and its descendants: parents first, the children of one parent together, by pid.

    Empty if there is no such process. airmem itself is left out where it descends from the one asked for.
    """
    left_out = (root_pid, own_process_id(reader))
    if reader.exists(f"/proc/{root_pid}/task/{root_pid}/children"):
        return _follow_children(reader, root_pid, left_out)
    return _search_children(reader, root_pid, left_out)


def _follow_children(reader: Source, root_pid: int, left_out: tuple[int | None, ...]) -> tuple[Process, ...]:
    """Find a tree by the kernel's lists of children: the others of a host, maybe thousands, need not be looked at.

    A list is missing a child only if another one ended in the instant between two of its lines
    (Documentation/filesystems/proc.rst, section 3.7); a search through all processes takes a thousand times as long,
    and misses what is forked meanwhile.
    """
    tree: list[Process] = []
    pending = [root_pid]
    for pid in pending:
        try:
            process = parse_stat(reader.read(f"/proc/{pid}/stat"))
        except (OSError, Malformed):
            continue
        tree.append(process)
        pending += sorted(_children(reader, process).difference(left_out))
    return tuple(tree)


def _search_children(reader: Source, root_pid: int, left_out: tuple[int | None, ...]) -> tuple[Process, ...]:
    """Find a tree where the kernel keeps no lists of children (CONFIG_PROC_CHILDREN): by everybody's parent."""
    lines: dict[int, bytes] = {}
    children: dict[int, list[int]] = {}
    for pid in reader.process_ids():
        try:
            line = lines[pid] = reader.read(f"/proc/{pid}/stat")
            children.setdefault(parse_parent_pid(line), []).append(pid)
        except (OSError, Malformed):
            pass
    tree = [root_pid] if root_pid in lines else []
    for pid in tree:
        tree.extend(child for child in children.get(pid, ()) if child not in left_out)
    return tuple(parse_stat(lines[pid]) for pid in tree)


def collect_hidden_children(reader: Source, tree: tuple[Process, ...]) -> tuple[Gap, ...]:
    """Return a gap for each child of the tree that /proc does not list because it is mounted with hidepid.

    The list of children in a visible parent's folder still names them.
    """
    level = hidepid_level(reader)
    if not level:
        return ()
    seen = {process.pid for process in tree} | {own_process_id(reader)}
    gaps = []
    for process in tree:
        for pid in sorted(_children(reader, process) - seen):
            detail = f"process {pid}, a child of {process.pid}, is hidden: /proc is mounted with hidepid={level}"
            gaps.append(gap(pid, "process", "hidepid", detail))
    return tuple(gaps)


def hidepid_level(reader: Source) -> str:
    """Return the hidepid option of the /proc that is read here, empty if it hides nothing."""
    try:
        mounts = parse_mounts(reader.read("/proc/self/mountinfo"), "proc")
    except OSError:
        return ""
    options = next((options for _, mount_point, options in reversed(mounts) if mount_point == "/proc"), ())
    values = [option.partition("=")[2] for option in options if option.partition("=")[0] == "hidepid"]
    return next((value for value in values if value not in ("0", "off")), "")


def own_process_id(reader: Source) -> int | None:
    """Return airmem's own pid as this /proc counts it, None if it is not there (another namespace, a copy)."""
    try:
        return int(reader.link("/proc/self"))
    except (OSError, ValueError):
        return None


def collect_boot_time(reader: Source) -> int | None:
    """Return when the machine booted, in seconds since 1970, or None."""
    try:
        return parse_boot_time(reader.read("/proc/stat"))
    except OSError:
        return None


def _children(reader: Source, process: Process) -> set[int]:
    """Return the pids of the children of all threads of a process, as far as they can be read."""
    found: set[int] = set()
    try:
        threads = [process.pid] if process.thread_count == 1 else reader.entries(f"/proc/{process.pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            found.update(map(int, reader.read(f"/proc/{process.pid}/task/{thread}/children").split()))
        except OSError:
            pass  # this thread has ended
    return found
