"""A target that a test has started: its tree of processes, frozen and thawed, and always ended by pid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

SECONDS_TO_WAIT = 30.0


def read_stat(pid: int) -> tuple[str, int]:
    """Return the state and the parent's pid of a process."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        words = file.read().rpartition(b")")[2].split()
    return words[0].decode(), int(words[1])


def find_tree(root_pid: int) -> dict[int, int | None]:
    """Return the processes of a tree, parents first: pid -> the parent's pid, None for the root."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                parents[int(name)] = read_stat(int(name))[1]
            except OSError:
                continue
    tree: dict[int, int | None] = {root_pid: None}
    pending = [root_pid]
    while pending:
        parent_pid = pending.pop(0)
        children = sorted(pid for pid, parent in parents.items() if parent == parent_pid)
        tree.update(dict.fromkeys(children, parent_pid))
        pending += children
    return tree


def wait_until(condition: Any, what: str) -> None:
    """Wait for something that is bound to happen."""
    end = time.monotonic() + SECONDS_TO_WAIT
    while not condition():
        assert time.monotonic() < end, f"waited {SECONDS_TO_WAIT} s for {what}"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return read_stat(pid)[0] in "ZX"
    except OSError:
        return True


@dataclass
class Target:
    """A running program of programs/, or `airmem demo`."""

    process: subprocess.Popen[str]
    pid: int = 0
    truth: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def wait_ready(self) -> Target:
        """Read its output up to the next `READY {json}`, or the first line of a demo."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("READY "):
                self.truth = json.loads(line[6:])
                self.pid = self.truth["pid"]
                return self
            if line.startswith("Ctrl-C"):
                self.pid = int(self.lines[0].split()[1].rstrip(":"))
                return self
        raise AssertionError(f"the target ended with {self.process.wait()}: {self.lines}")

    def order(self, command: str) -> Target:
        """Send it a command and wait until it is carried out."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.wait_ready()

    @property
    def tree(self) -> dict[int, int | None]:
        """Its processes, parents first."""
        return find_tree(self.pid)

    def freeze(self) -> Target:
        """Stop every process of the tree, and return when all have stopped."""
        for pid in self.tree:
            os.kill(pid, signal.SIGSTOP)
        for pid in self.tree:
            wait_until(lambda pid=pid: read_stat(pid)[0] in "TtZ", f"process {pid} to stop")
        return self

    def thaw(self) -> Target:
        """Let every process go on."""
        for pid in self.tree:
            os.kill(pid, signal.SIGCONT)
        return self

    def stop(self) -> None:
        """End every process of the tree, and wait for each."""
        pids = [*find_tree(self.process.pid)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.communicate()
        for pid in pids:
            wait_until(lambda pid=pid: is_gone(pid), f"process {pid} to end")
