"""Locks on files and the file systems under them."""

from __future__ import annotations

import struct

from airmem.model.verdict import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.model.descriptor import Descriptor
    from airmem.model.verdict import Evidence, Target

SET_LOCK_WAIT = frozenset({7, 38})
"""F_SETLKW and F_OFD_SETLKW (include/uapi/asm-generic/fcntl.h)."""

PATH_ARGUMENTS = {
    "open": 0, "stat": 0, "lstat": 0, "access": 0, "execve": 0, "chdir": 0, "mkdir": 0, "rmdir": 0, "creat": 0,
    "unlink": 0, "readlink": 0, "chmod": 0, "chown": 0, "statfs": 0, "truncate": 0, "rename": 0, "getxattr": 0,
    "openat": 1, "newfstatat": 1, "mkdirat": 1, "unlinkat": 1, "readlinkat": 1, "faccessat": 1, "faccessat2": 1,
    "statx": 1, "renameat": 1, "renameat2": 1, "openat2": 1, "fchmodat": 1, "utimensat": 1, "inotify_add_watch": 1,
}  # fmt: skip
"""System call -> which argument is a path."""

LONGEST_PATH = 4096
OPENS = {"open": 1, "openat": 2}
"""System call -> which argument says for what."""

OPENING = "wait_for_partner"
"""Where the kernel holds up who opens a named pipe until somebody opens its other end (fs/pipe.c)."""


def is_file_lock(thread: Thread) -> bool:
    """Whether a thread waits for a lock on a file."""
    name, words = thread.call_name, thread.arguments
    return name == "flock" or (name == "fcntl" and words[1] & 0xFFFFFFFF in SET_LOCK_WAIT)


def judge_file_lock(scene: Scene, thread: Thread) -> Wait:
    """Return whose file lock a thread waits for."""
    descriptor = scene.descriptor(thread.pid, thread.arguments[0] & 0xFFFFFFFF)
    kinds = ("FLOCK",) if thread.call_name == "flock" else ("POSIX", "OFDLCK")
    holders = lock_holders(scene, descriptor, kinds)
    others = [one for one in holders if one != thread.pid] or holders
    evidence: Evidence = {
        "path": descriptor.link if descriptor else None,
        "holder_pid": others[0] if others else None,
    }
    needs: tuple[Target, ...] = tuple((one, None) for one in others)
    return Wait(
        pid=thread.pid, tid=thread.tid, category="file_lock", evidence=evidence, needs=needs, is_sure=bool(others)
    )


def judge_opening(scene: Scene, thread: Thread) -> Wait | None:
    """Return the verdict on a thread that opens a named pipe whose other end nobody has open, None for others."""
    if thread.call_name not in OPENS or OPENING not in thread.task.wait_channel:
        return None
    is_write = bool(thread.arguments[OPENS[thread.call_name]] & 3)
    evidence: Evidence = {"path": _path_of(scene, thread), "peer_pid": None}
    category = "pipe_write" if is_write else "pipe_read"
    return Wait(pid=thread.pid, tid=thread.tid, category=category, evidence=evidence)


def connect_path(scene: Scene, thread: Thread) -> str | None:
    """Return the path in the address (struct sockaddr_un) that a thread connects to, None where it has none."""
    path = text_at(scene, thread.pid, thread.arguments[1] + 2)
    return path or None


def lock_holders(scene: Scene, descriptor: Descriptor | None, kinds: tuple[str, ...]) -> list[int]:
    """Return who holds a lock on a file: who has the locked file description open, else who made the lock.

    A flock lives as long as any process has the file description, though /proc/locks names the one that made it, even
    when that has ended.
    """
    if descriptor is None or descriptor.inode is None:
        return []
    inode, device = descriptor.inode, descriptor.device
    found: list[int] = []
    for pid, process in scene.snapshot.processes.items():
        for other in (process.descriptors or {}).values():
            if other.inode == inode and any(not one.is_waiting and one.kind in kinds for one in other.locks):
                found.append(pid)
    owners = [
        one.owner_pid
        for one in scene.snapshot.file_locks
        if not one.is_waiting and one.inode == inode and one.device == device and one.kind in kinds
    ]
    made = [pid for pid in owners if pid in found]
    alive = [pid for pid in owners if pid > 0 and (pid in scene.snapshot.processes or pid in scene.snapshot.outsiders)]
    unique = dict.fromkeys([*made, *alive, *found, *(pid for pid in owners if pid > 0)])
    return list(unique)


def mount_evidence(scene: Scene, thread: Thread) -> Evidence:
    """Return the mount and file system of the path, or of the descriptor, that a thread's system call names."""
    path = _path_of(scene, thread)
    mounts = thread.process.mounts or ()
    covering = [one for one in mounts if path == one.point or path.startswith(one.point.rstrip("/") + "/")]
    if not path or not covering:
        return {"path": path or None, "mount": None, "fstype": None}
    longest = max(range(len(covering)), key=lambda at: (len(covering[at].point), at))
    return {"path": path, "mount": covering[longest].point, "fstype": covering[longest].fstype}


def _path_of(scene: Scene, thread: Thread) -> str:
    position = PATH_ARGUMENTS.get(thread.call_name)
    if position is None:
        descriptor = scene.descriptor(thread.pid, thread.arguments[0] & 0xFFFFFFFF)
        return descriptor.link if descriptor and descriptor.link.startswith("/") else ""
    path = text_at(scene, thread.pid, thread.arguments[position])
    if path.startswith("/") or position == 0:
        return path
    folder = scene.descriptor(thread.pid, thread.arguments[0] & 0xFFFFFFFF)
    return f"{folder.link}/{path}" if folder and folder.link.startswith("/") else path


def text_at(scene: Scene, pid: int, address: int) -> str:
    """Return a text in the target that ends with a zero byte, empty if it cannot be read."""
    found = b""
    while len(found) < LONGEST_PATH:
        size = 256 - (address + len(found)) % 256
        raw = scene.read(pid, address + len(found), size)
        if raw is None:
            break
        before, zero, _ = raw.partition(b"\0")
        found += before
        if zero:
            break
    return found.decode(errors="surrogateescape")


def words_of(raw: bytes) -> tuple[int, ...]:
    """Return memory as 64-bit words; a rest is left out."""
    return struct.unpack(f"<{len(raw) // 8}Q", raw[: len(raw) // 8 * 8])
