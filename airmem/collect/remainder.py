"""What a control group holds beyond a tree's readable processes: it bounds those that cannot be read."""

from __future__ import annotations

from airmem.collect.cgroup import collect_members
from airmem.errors import Malformed
from airmem.kernel.smaps import parse_smaps_rollup
from airmem.kernel.source import Source
from airmem.model.cgroup import CgroupMemory
from airmem.model.memory import MemoryAccount
from airmem.model.remainder import CgroupRemainder
from airmem.model.snapshot import ProcessSnapshot


def collect_remainder(
    reader: Source, processes: tuple[ProcessSnapshot, ...], cgroup: CgroupMemory | None
) -> CgroupRemainder | None:
    """Return what is needed to bound the unreadable processes of a tree, None when none was refused.

    In a group where all its processes were born, the anonymous and shared memory charged to it equals the sum of
    their Pss_Anon and Pss_Shmem (measured to the MB; shared memory that nobody maps is charged, too). So what is
    left after subtracting the readable ones is the rest's.
    """
    refused = [one for one in processes if one.account.pss_bytes is None and one.account.rss_bytes]
    if not refused:
        return None
    if cgroup is None or cgroup.anon_bytes is None or cgroup.shmem_bytes is None:
        return CgroupRemainder(outsiders_pss_bytes=0, obstacles=("its control group has no memory account here",))
    members = collect_members(reader, processes[0].process.pid)
    if members is None:
        return CgroupRemainder(outsiders_pss_bytes=0, obstacles=("the control group's processes cannot be listed",))
    return _subtract_outsiders(reader, processes, members)


def _subtract_outsiders(
    reader: Source, processes: tuple[ProcessSnapshot, ...], members: tuple[int, ...]
) -> CgroupRemainder:
    tree = {one.process.pid for one in processes if not one.process.is_zombie}  # cgroup.procs lists no zombies
    obstacles = []
    if 0 in members:
        obstacles.append("processes of another pid namespace are in the control group")
    if strangers := sorted(tree - set(members)):
        obstacles.append(f"processes {_list(strangers)} of the tree are in another control group")
    if undivided := [one.process.pid for one in processes if _is_undivided(one.account)]:
        obstacles.append(f"the PSS of processes {_list(undivided)} is not divided by kind (smaps_rollup of Linux 5.3)")
    outsiders_pss_bytes = 0
    unread = []
    for pid in members:
        if pid and pid not in tree:
            pss_bytes = _anonymous_pss(reader, pid)
            outsiders_pss_bytes += pss_bytes or 0
            if pss_bytes is None:
                unread.append(pid)
    if unread:
        obstacles.append(f"processes {_list(unread)} outside the tree share the control group and cannot be read")
    return CgroupRemainder(outsiders_pss_bytes=outsiders_pss_bytes, obstacles=tuple(obstacles))


def _anonymous_pss(reader: Source, pid: int) -> int | None:
    """Return the PSS of a process's anonymous and shared memory; 0 if it has ended, None if it is refused."""
    account = MemoryAccount()
    try:
        with reader.process(pid) as files:
            account = parse_smaps_rollup(files.read("smaps_rollup"))
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except (OSError, Malformed):
        return None
    if account.pss_anon_bytes is None or account.pss_shmem_bytes is None:
        return None
    return account.pss_anon_bytes + account.pss_shmem_bytes


def _is_undivided(account: MemoryAccount) -> bool:
    return account.pss_bytes is not None and account.pss_anon_bytes is None


def _list(pids: list[int]) -> str:
    shown = ", ".join(str(pid) for pid in pids[:5])
    return f"{shown} and {len(pids) - 5} more" if len(pids) > 5 else shown
