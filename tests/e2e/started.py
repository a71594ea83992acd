"""What the harness has started: written down at once, and ended by pid and start time, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.live.tree import is_gone

SECONDS_TO_END = 20.0
SECONDS_TO_DIE = 10.0


@dataclass(frozen=True)
class Place:
    """Who a process is and how long it lives: its pid with its start time in clock ticks after boot."""

    pid: int
    start_ticks: int

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return not is_gone(self.pid) and read_times(self.pid)[1] == self.start_ticks


@dataclass(frozen=True)
class Started:
    """A process that the harness started, the first of its session."""

    name: str
    place: Place
    log: Path
    child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The pid."""
        return self.place.pid

    def last_lines(self, count: int = 20) -> str:
        """Return the end of its log."""
        with suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
        return ""


def read_times(pid: int) -> tuple[int, int]:
    """Return a process's session and start time, (0, 0) when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0, 0
    return int(words[3]), int(words[19])


def identity(uid: int, gid: int, group: Path | None = None) -> Callable[[], None] | None:
    """Return what a child does before exec: join a control group and become somebody; None where it stays as it is."""
    if uid == os.geteuid() and group is None:
        return None

    def become() -> None:
        if group is not None:
            with open(group / "cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(os.getpid()))
        if uid != os.geteuid():
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)

    return become


class Ledger:
    """All that was started, in memory and in a file, so that a later run can end what a killed one left."""

    def __init__(self, path: Path, logs: Path) -> None:
        self.path = path
        self.logs = logs
        self.all: list[Started] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        variables: Mapping[str, str],
        folder: Path,
        become: Callable[[], None] | None,
    ) -> Started:
        """Start a process in a session of its own, with its output in a log."""
        log = self.logs / f"{name}.log"
        with open(log, "ab") as output:
            child = subprocess.Popen(
                command,
                env=dict(variables),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=become,  # noqa: PLW1509  # this process has no other thread
            )
        return self.add(Started(name, Place(child.pid, read_times(child.pid)[1]), log, child))

    def add(self, started: Started) -> Started:
        """Write down a process that somebody else started for the harness."""
        self.all.append(started)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(f"{started.place.pid} {started.place.start_ticks} {started.name}\n")
        return started

    def end(self) -> None:
        """End everything, the last started first, each with the descendants and the session that it left."""
        for child in (one.child for one in self.all):
            if child is not None:
                child.poll()
        end_all([one.place for one in reversed(self.all)])
        for child in (one.child for one in self.all):
            if child is not None:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(SECONDS_TO_DIE)
        self.all.clear()
        self.path.unlink(missing_ok=True)

    @staticmethod
    def end_leftovers(path: Path) -> int:
        """End what the ledger of a killed run names and still runs; return how many."""
        if not path.exists():
            return 0
        lines = [line.split() for line in path.read_text().splitlines()]
        places = [Place(int(words[0]), int(words[1])) for words in lines]
        count = end_all(list(reversed(places)))
        path.unlink()
        return count


def end_all(roots: Sequence[Place]) -> int:
    """Ask the roots to end (SIGTERM), then end what is left of their trees and sessions; return how many there were."""
    members = {one for root in roots for one in _belongings(root)}
    for root in roots:
        if root.is_alive:
            _send(root, signal.SIGCONT)
            _send(root, signal.SIGINT if _is_postgres(root.pid) else signal.SIGTERM)
    _wait_gone(roots, SECONDS_TO_END)
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        left = {one for one in members | {more for root in roots for more in _belongings(root)} if one.is_alive}
        for one in left:
            _send(one, signal.SIGCONT)
            _send(one, wanted)
        _wait_gone(left, 2.0 if wanted is signal.SIGTERM else SECONDS_TO_DIE)
    return len(members)


def _belongings(root: Place) -> list[Place]:
    """Return the root, its descendants, and the younger members of its session, which may have lost their parent."""
    found = []
    tree = descendants(root.pid) if root.is_alive else {}
    for pid in _pids():
        session, start_ticks = read_times(pid)
        if pid in tree or (session == root.pid and start_ticks >= root.start_ticks > 0):
            found.append(Place(pid, start_ticks))
    return found


def descendants(root_pid: int) -> dict[int, Place]:
    """Return a process and its descendants by pid."""
    parents: dict[int, int] = {}
    for pid in _pids():
        with suppress(OSError, IndexError, ValueError), open(f"/proc/{pid}/stat", "rb") as file:
            parents[pid] = int(file.read().rpartition(b")")[2].split()[1])
    found = [root_pid]
    for parent_pid in found:
        found.extend(pid for pid, above in parents.items() if above == parent_pid)
    return {pid: Place(pid, read_times(pid)[1]) for pid in found}


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _is_postgres(pid: int) -> bool:
    """PostgreSQL ends at once on SIGINT; on SIGTERM it waits for its clients."""
    with suppress(OSError), open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as file:
        return file.read().strip() == "postgres"
    return False


def _send(place: Place, number: int) -> None:
    if place.is_alive:
        with suppress(ProcessLookupError):
            os.kill(place.pid, number)


def _wait_gone(places: Iterable[Place], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(one.is_alive for one in places):
        time.sleep(0.1)
