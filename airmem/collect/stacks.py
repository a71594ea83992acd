"""Takes all facts about trees of processes that may stand still, over a short window.

The order is what keeps them true. First /proc, several times: what a thread waits for, and since when, before anything
touches it. Then py-spy, nonblocking, once for every Python process, and again only for those that used CPU, whose
stacks change. Then /proc once more: a thread that is where it was has not moved meanwhile.
"""

from __future__ import annotations

import os
import time

from airmem.collect.cpu_clocks import read_cpu_clocks
from airmem.collect.dumps import Dumps
from airmem.collect.ends import collect_outsiders, collect_sockets, search_holders, tree_holders, wanted_inodes
from airmem.collect.gaps import gap
from airmem.collect.hang_process import ProcessReader
from airmem.collect.hang_source import begin
from airmem.collect.host import collect_host
from airmem.collect.looks import LookTime, collect_look
from airmem.collect.pressure import Pressures
from airmem.collect.processes import collect_tree_processes
from airmem.collect.source import open_source
from airmem.errors import Malformed, NotPermitted, ProcessGone
from airmem.kernel.fdinfo import parse_locks
from airmem.model.descriptor import Holder
from airmem.model.waiting import HangSnapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airmem.collect.hang_source import HangReader, HangSource
    from airmem.collect.looking_plan import LookingPlan
    from airmem.model.descriptor import HeldLock, Socket
    from airmem.model.gap import Gap
    from airmem.model.process import Process
    from airmem.model.task import TreeLook
    from airmem.model.waiting import HangProcess

SEARCH_SECONDS = 2.0
"""So long other processes are searched for the other ends of pipes."""


def collect_hang(source: HangSource, root_pids: tuple[int, ...], plan: LookingPlan) -> HangSnapshot:
    """Return the facts of one or several trees. Errors: ProcessGone, NotPermitted when none is seen."""
    taken_at_seconds = begin(source)
    place = source.told("place", lambda: _place(root_pids, plan))
    roots = tuple(int(pid) for pid in place["root_pids"])
    pids = _find_trees(source, roots)
    looks = [_look(source, "look 0", pids, place, False)]
    facts = source.layer("facts")
    gaps = [_missing_root(facts, root) for root in dict.fromkeys(roots) if root not in pids]
    processes = _read_processes(facts, pids, gaps)
    sockets, missing = collect_sockets(facts, processes.values())
    gaps += missing
    holders, outsiders = _holders(source, facts, processes, sockets, gaps)
    locks = _file_locks(facts, gaps)
    looks += _look_on(source, looks[0], pids, place)
    realtime, monotonic, boot = (float(one) for one in source.told("clocks", _clocks))
    dumps = Dumps(source, plan, processes, looks, int(place["ticks_per_second"]))
    dumps.take()
    looks.append(_look(source, "last look", pids, place, True))
    return HangSnapshot(
        root_pids=tuple(root for root in roots if root in processes),
        host=collect_host(facts),
        machine=str(place["machine"]),
        ticks_per_second_count=int(place["ticks_per_second"]),
        taken_at_seconds=taken_at_seconds,
        window_seconds=looks[-1].at_seconds - looks[0].at_seconds,
        realtime_seconds=realtime,
        monotonic_seconds=monotonic,
        boot_seconds=boot,
        processes=processes,
        looks=tuple(looks),
        stacks=dumps.stacks,
        sockets=sockets,
        holders=holders,
        outsiders=outsiders,
        file_locks=locks,
        gaps=(*gaps, *dumps.gaps),
    )


def _place(root_pids: tuple[int, ...], plan: LookingPlan) -> dict[str, Any]:
    return {
        "root_pids": list(root_pids),
        "look_count": plan.look_count,
        "window_seconds": plan.window_seconds,
        "machine": os.uname().machine,
        "ticks_per_second": os.sysconf("SC_CLK_TCK"),
    }


def _find_trees(source: HangSource, root_pids: tuple[int, ...]) -> list[int]:
    """Return the pids of all trees, parents first, each once. Errors: ProcessGone, NotPermitted."""

    def search() -> list[int]:
        reader = open_source()
        trees = [collect_tree_processes(reader, root) for root in root_pids]
        return list(dict.fromkeys(process.pid for tree in trees for process in tree))

    pids = [int(pid) for pid in source.told("tree", search) or ()]
    if not pids:
        if any(source.layer("facts").has_process(root) for root in root_pids):
            raise NotPermitted(
                f"process {root_pids[0]} exists but /proc hides it (hidepid)",
                "Run airmem as root, or as a member of the group that the gid= option of /proc's mount names",
            )
        named = ", ".join(str(root) for root in root_pids)
        raise ProcessGone(f"there is no process {named}", "List what runs here with: airmem ps")
    return pids


def _missing_root(reader: HangReader, root_pid: int) -> Gap:
    """Return the gap of one that was asked for and not found, while others were."""
    if reader.has_process(root_pid):
        return gap(root_pid, "process", "hidepid", f"process {root_pid} exists but /proc hides it (hidepid)")
    return gap(root_pid, "process", "no_process", f"there is no process {root_pid}")


def _look(source: HangSource, name: str, pids: list[int], place: dict[str, Any], has_stacks_before: bool) -> TreeLook:
    at_seconds = float(source.told(f"at {name}", source.elapsed_seconds))
    clocks = source.told(f"CPU clocks {name}", read_cpu_clocks) or ()
    when = LookTime(at_seconds, {int(cpu): float(seconds) for cpu, seconds in clocks})
    return collect_look(source.layer(name), pids, str(place["machine"]), when, has_stacks_before)


def _look_on(source: HangSource, first: TreeLook, pids: list[int], place: dict[str, Any]) -> list[TreeLook]:
    """Look again until the window is over, at even distances."""
    count = max(2, int(place["look_count"]))
    looks = []
    for number in range(1, count):
        source.wait_until(first.at_seconds + float(place["window_seconds"]) * number / (count - 1))
        looks.append(_look(source, f"look {number}", pids, place, False))
    return looks


def _clocks() -> list[float]:
    return [time.clock_gettime(clock) for clock in (time.CLOCK_REALTIME, time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME)]


def _read_processes(reader: HangReader, pids: list[int], gaps: list[Gap]) -> dict[int, HangProcess]:
    """Return what each process shows. One that ended meanwhile has a gap; the others are not lost for it."""
    reading = ProcessReader(reader, Pressures(reader))
    found = {}
    for pid in pids:
        try:
            found[pid] = reading.read(pid)
        except PermissionError:
            gaps.append(gap(pid, "process", "denied", f"the kernel does not let airmem open the folder of {pid}"))
        except (OSError, Malformed):
            gaps.append(gap(pid, "process", "gone", "it ended while the tree was read"))
    gaps += reading.gaps
    return found


def _holders(
    source: HangSource,
    reader: HangReader,
    processes: dict[int, HangProcess],
    sockets: dict[int, Socket],
    gaps: list[Gap],
) -> tuple[dict[int, tuple[Holder, ...]], dict[int, Process]]:
    """Return who holds each pipe and socket of the trees, and the processes outside of them that do."""
    holders = tree_holders(processes.values())
    wanted = wanted_inodes(holders, sockets)
    until = source.elapsed_seconds() + SEARCH_SECONDS

    def search() -> list[Any]:
        return list(search_holders(open_source(), wanted, set(processes), lambda: source.elapsed_seconds() > until))

    found, is_cut = source.told("holders", search) or ([], False)
    for inode, pid, number, access in found:
        holder = Holder(pid=int(pid), number_id=int(number), access=str(access))
        holders.setdefault(int(inode), []).append(holder)
    if is_cut:
        detail = f"the search of all processes for the other ends of pipes was given up after {SEARCH_SECONDS:g} s"
        gaps.append(gap(None, "holders", "deadline", detail))
    outsiders = collect_outsiders(reader, sorted({int(pid) for _, pid, _, _ in found}))
    return {inode: tuple(holding) for inode, holding in holders.items()}, outsiders


def _file_locks(reader: HangReader, gaps: list[Gap]) -> tuple[HeldLock, ...]:
    try:
        return parse_locks(reader.read("/proc/locks"))
    except OSError as problem:
        gaps.append(gap(None, "file_locks", "unreadable", f"/proc/locks: {problem.strerror}"))
        return ()
