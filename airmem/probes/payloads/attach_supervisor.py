"""Puts memray into a running process, watches it there, takes it out again; outlives airmem, whose end harms nothing.

    python -I attach_supervisor.py PLAN.json

While memray attaches, gdb keeps breakpoints in the target's malloc. A debugger that ends then leaves them behind, and
the target dies of SIGTRAP at its next allocation. So nobody here ever ends a debugger. It is interrupted, and only
while it waits: never while it works in the target, where it may be in the middle of loading a library.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LOOK_SECONDS = 0.05
FREEZE_SECONDS = 0.1
"""A debugger that is stopped for so long has missed what it was working at: the target has stopped and waits for it."""

INTERRUPT_SECONDS = 5.0
"""After so long the debugger is interrupted again."""

PATIENCE_LOOKS = 100
"""So often it is looked again when the debugger works in the target rather than waits."""

AFTERMATH_SECONDS = 15.0
"""memray waits 10 s for a target that does not answer (inject_control_channel, memray 1.20)."""

RETRY_SECONDS = 5.0
SPARE_BYTES = 1 << 14
"""Room in the state for what is told later, when the disk may be full."""

MOST_CRAMPED = 1000
GROWTH_RATIO = 1.1
PAGE_BYTES = 4096
"""By so much, to whole pages, memray makes a file larger when it is full (FileSink::grow in memray's sink.cpp)."""


class Target:
    """A process, by pid and start time, as /proc tells of it."""

    def __init__(self, pid: int, start_ticks: int) -> None:
        self.pid = pid
        self._start_ticks = start_ticks

    def is_there(self) -> bool:
        """Whether it still runs and is not another process with its pid."""
        words = _stat(self.pid)
        return bool(words) and words[0] not in "ZX" and int(words[19]) == self._start_ticks

    def tracer_pid(self) -> int:
        """Return the process that traces it, 0 if nobody does."""
        for line in _read(f"/proc/{self.pid}/status").splitlines():
            if line.startswith("TracerPid:"):
                return int(line.split()[1])
        return 0

    def is_stopped_by_tracer(self) -> bool:
        """Whether one of its threads has stopped for its debugger."""
        states = [_stat(thread)[:1] for thread in self._threads()]
        return ["t"] in states

    def holds(self, path: str) -> bool:
        """Whether it has a file mapped or open."""
        if any(line.endswith(" " + path) for line in _read(f"/proc/{self.pid}/maps").splitlines()):
            return True
        folder = f"/proc/{self.pid}/fd"
        return any(_link(f"{folder}/{name}") == path for name in _entries(folder))

    def _threads(self) -> list[str]:
        folder = f"/proc/{self.pid}/task"
        return [f"{folder}/{name}" for name in _entries(folder)]


class Supervisor:
    """One trace from attaching to the end."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._target = Target(plan["pid"], plan["start_ticks"])
        self._stop = ""
        self._said = ""
        self._pending: subprocess.Popen[bytes] | None = None
        self._cramped: set[int] = set()
        self._state: dict[str, object] = {
            "stage": "attaching",
            "outcome": "",
            "said": "",
            "supervisor_pid": os.getpid(),
        }

    def run(self) -> None:
        """Attach, track, detach, and tell what became of it."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)  # a handler, since ignored signals stay ignored in programs
        self._tell()
        outcome = self._attach()
        if outcome == "tracking":
            self._tell(stage="tracking", tracking_at_seconds=time.time())
            outcome = self._detach(self._track())
        self._finish(outcome)

    def _ask_to_stop(self, number: int, frame: object) -> None:
        del number, frame
        self._stop = "stopped"

    def _why_stop(self) -> str:
        """Return why to end before the time is up, empty if there is no reason."""
        if os.getppid() != self._plan["airmem_pid"]:
            return "airmem_gone"
        return self._stop

    def _attach(self) -> str:
        """Return `tracking`, or why it did not come to that."""
        ended, why = self._inject(self._plan["attach"], self._plan["deadline_seconds"])
        if ended == 0 and not why:
            return "tracking"
        if not self._target.is_there():
            return "target_gone"
        if not why:
            return "failed"
        return self._forestall(why)

    def _forestall(self, why: str) -> str:
        """Make sure that memray, if it has reached the target, does not begin there later: its folder goes."""
        try:
            os.rmdir(self._plan["attempt_folder"])
        except OSError:
            self._stop = why
            return "tracking"
        return why

    def _inject(self, line: list[str], deadline_seconds: float) -> tuple[int | None, str]:
        """Run memray attach or detach; return its status, and why it was given up: empty if it was not."""
        with open(os.memfd_create("memray"), "w+b") as log:  # no disk, which may be full
            memray = subprocess.Popen(  # noqa: S603  # a list, never through a shell
                line,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
            until = time.monotonic() + deadline_seconds
            why = ""
            while memray.poll() is None and not why:
                time.sleep(LOOK_SECONDS)
                why = self._why_giving_up(until, line)
            if why:
                self._let_go(memray.pid)
                _wait(lambda: memray.poll() is not None or not self._target.is_there(), AFTERMATH_SECONDS)
            elif self._target.tracer_pid():
                self._let_go(memray.pid)
            log.seek(0)
            self._said = log.read(4000).decode(errors="replace")
        self._pending = memray
        return memray.poll(), why

    def _why_giving_up(self, until: float, line: list[str]) -> str:
        if time.monotonic() > until:
            return "deadline"
        if line is not self._plan["attach"]:
            return ""  # taking memray out is what is wanted in any case
        return self._why_stop()

    def _let_go(self, session: int) -> None:
        """Make the debugger detach: interrupt it where it waits, and return when nobody traces the target."""
        patience = PATIENCE_LOOKS
        while (tracer := self._target.tracer_pid()) and _session(tracer) == session:
            os.kill(tracer, signal.SIGSTOP)
            time.sleep(FREEZE_SECONDS)
            works = self._target.is_stopped_by_tracer()
            if works and patience > 0:
                patience -= 1
                os.kill(tracer, signal.SIGCONT)
                time.sleep(LOOK_SECONDS)
                continue
            os.kill(tracer, signal.SIGINT)
            os.kill(tracer, signal.SIGCONT)
            _wait(lambda: not self._target.tracer_pid(), INTERRUPT_SECONDS)

    def _track(self) -> str:
        """Watch until the time is up, the budget is used or somebody stops it; return why it ended."""
        until = time.monotonic() + self._plan["duration_seconds"]
        while True:
            if why := self._why_stop():
                return why
            if not self._target.is_there():
                return "target_gone"
            if not self._target.holds(self._plan["output"]):
                return "ended_elsewhere"
            size_bytes, free_bytes = self._room()
            if size_bytes > self._plan["budget_bytes"]:
                return "budget"
            if free_bytes < self._plan["least_free_bytes"]:
                return "disk"
            if time.monotonic() >= until:
                return "finished"
            time.sleep(4 * LOOK_SECONDS)

    def _room(self) -> tuple[int, int]:
        """Return the size of the captures, also of children, and the free space of their file system, in bytes.

        Which of them have no room to grow is told: memray gives up when it next needs some.
        """
        try:
            room = os.statvfs(self._plan["attempt_folder"])
        except OSError:  # somebody has removed it
            return 0, self._plan["least_free_bytes"]
        free_bytes = room.f_bavail * room.f_frsize
        sizes = {path: _size(path) for path, _ in self._captures()}
        cramped = {pid for path, pid in self._captures() if _growth_bytes(sizes.get(path, 0)) > free_bytes}
        if not cramped <= self._cramped:
            self._cramped |= cramped
            self._tell(cramped_pids=sorted(self._cramped)[:MOST_CRAMPED])
        return sum(sizes.values()), free_bytes

    def _captures(self) -> list[tuple[str, int]]:
        """Return the captures that the target and its children make, each with its process: OUTPUT and OUTPUT.PID."""
        output = self._plan["output"]
        found = []
        for name in _entries(self._plan["attempt_folder"]):
            path = os.path.join(self._plan["attempt_folder"], name)
            pid = path[len(output) + 1 :]
            if path == output:
                found.append((path, self._target.pid))
            elif path.startswith(output + ".") and pid.isdecimal():
                found.append((path, int(pid)))
        return found

    def _detach(self, outcome: str) -> str:
        """Take memray out of the target, again and again where its interpreter is held up by a call into C."""
        self._tell(stage="detaching", outcome=outcome)
        while not self._is_over():
            if not self._is_pending():
                self._inject(self._plan["detach"], self._plan["deadline_seconds"])
            if not _wait(self._is_over, 2 * RETRY_SECONDS):
                self._tell(stage="waiting", said=self._said)
        return outcome

    def _is_pending(self) -> bool:
        """Whether memray is in the target already and only waits for its turn there."""
        return self._pending is not None and self._pending.poll() is None

    def _is_over(self) -> bool:
        return not self._target.is_there() or not self._target.holds(self._plan["output"])

    def _finish(self, outcome: str) -> None:
        """Put the capture where it belongs and tell how everything was left."""
        with suppress(OSError):  # whatever the target or a person has done to the folder
            self._settle()
        there = self._target.is_there()
        self._tell(
            stage="ended",
            ended_at_seconds=time.time(),
            outcome=outcome,
            said=self._said,
            is_target_alive=there,
            tracer_pid=self._target.tracer_pid() if there else 0,
        )

    def _settle(self) -> None:
        """Move what is finished; a child that is still recorded keeps its file, and with it the folder."""
        plan = self._plan
        kept = set()
        for path, pid in self._captures():
            if not _is_file(path):  # the target may have put something else there
                continue
            if path != plan["output"] and Target(pid, 0).holds(path):
                kept.add(path)
                continue
            final = plan["final"] + path[len(plan["output"]) :]
            os.rename(path, final)
            file = os.open(final, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            os.fchmod(file, 0o600)
            os.close(file)
        for name in _entries(plan["attempt_folder"]):
            path = os.path.join(plan["attempt_folder"], name)
            if path not in kept:
                os.unlink(path)
        if os.path.isdir(plan["attempt_folder"]) and not kept:
            os.rmdir(plan["attempt_folder"])

    def _tell(self, **more: object) -> None:
        """Write the state for airmem, whole or not at all; a full disk must not end this."""
        self._state.update(more)
        with suppress(OSError):
            self._write_state()

    def _write_state(self) -> None:
        path, text = self._plan["state"], json.dumps(self._state)
        try:
            with open(f"{path}.partial", "w", encoding="ascii") as stream:  # in a folder that is airmem's alone
                stream.write(text.ljust(len(text) + SPARE_BYTES))
            os.replace(f"{path}.partial", path)
        except OSError:  # a full disk has room where a file is already
            room = os.stat(path).st_size
            if len(text) > room:
                return
            with open(path, "r+", encoding="ascii") as stream:
                stream.write(text.ljust(room))


def _wait(condition: Callable[[], bool], seconds: float, pause: float = LOOK_SECONDS) -> bool:
    """Wait for a condition; return whether it came."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(pause)
    return True


def _growth_bytes(size_bytes: int) -> int:
    """Return how much room a capture of this size takes when it grows next."""
    return (int(size_bytes * GROWTH_RATIO) // PAGE_BYTES + 1) * PAGE_BYTES - size_bytes


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _session(pid: int) -> int:
    words = _stat(pid)
    return int(words[3]) if words else 0


def _stat(pid: int | str) -> list[str]:
    """Return the fields of a stat line after the command, from the state on; empty if there is none."""
    folder = pid if isinstance(pid, str) else f"/proc/{pid}"
    return _read(f"{folder}/stat").rpartition(")")[2].split()


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _entries(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def main() -> None:
    """Read the plan and carry it out."""
    os.umask(0o077)
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    Supervisor(plan).run()


if __name__ == "__main__":
    main()
