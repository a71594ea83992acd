"""Looking harms nobody: by default no thread is ever stopped, and whoever is stopped on request goes on, come what may."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from threading import Event, Thread

import pytest

from airmem.collect.hang_source import LiveHang
from airmem.collect.looking_plan import LookingPlan
from airmem.collect.stacks import collect_hang
from tests.live.tree import find_tree, is_gone, read_stat, wait_until

QUICK = LookingPlan(window_seconds=0.1, look_count=2)
PAUSING = LookingPlan(window_seconds=0.1, look_count=2, is_blocking=True)
KILLS = int(os.environ.get("AIRMEM_KILLS", "24"))
"""How often a pausing look is killed; 200 was what the documentation's figure is from."""

LOOK = """
from airmem.collect.hang_source import LiveHang
from airmem.collect.looking_plan import LookingPlan
from airmem.collect.stacks import collect_hang
import sys
print("begun", flush=True)
collect_hang(LiveHang(None), (int(sys.argv[1]),), LookingPlan(window_seconds=0.0, look_count=2, is_blocking=True))
"""


def read_text(path):
    """Return the content of a file."""
    with open(path) as file:
        return file.read()


def states(pid):
    """Return the state of each thread, by tid."""
    found = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with suppress(OSError):
            found[int(tid)] = read_text(f"/proc/{pid}/task/{tid}/stat").rpartition(")")[2].split()[0]
    return found


def switches(pid, tids):
    """Return how often each thread gave up the CPU: a stop is one more time."""
    found = {}
    for tid in tids:
        lines = read_text(f"/proc/{pid}/task/{tid}/status").splitlines()
        found[tid] = next(int(line.split()[1]) for line in lines if line.startswith("voluntary"))
    return found


class Watching:
    """Notes every state that a thread of a process is seen in."""

    def __init__(self, pid):
        self.seen = set()
        self._pid, self._ended = pid, Event()
        self._thread = Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _run(self):
        while not self._ended.is_set():
            with suppress(OSError):
                self.seen |= set(states(self._pid).values())


def test_by_default_nothing_is_stopped_or_interrupted(start):
    target = start("fragile")
    before = switches(target.pid, target.truth["threads"])
    with Watching(target.pid) as watching:
        for _ in range(5):
            snapshot = collect_hang(LiveHang(None), (target.pid,), QUICK)
    assert len(snapshot.stacks[target.pid][0].threads) == 3
    assert snapshot.stacks[target.pid][0].paused_seconds == 0.0
    assert watching.seen <= {"S", "R"}  # never stopped (T) or traced (t)
    assert switches(target.pid, target.truth["threads"]) == before
    truth = target.order("finish").truth
    assert truth["written"] == [1 << 20]
    assert truth["woken"] == [1]


def test_a_stop_does_harm_so_that_it_would_have_been_noticed(start):
    target = start("fragile")
    snapshot = collect_hang(LiveHang(None), (target.pid,), PAUSING)
    (stacks,) = snapshot.stacks[target.pid]
    assert 0.0 < stacks.paused_seconds <= stacks.took_seconds
    truth = target.order("finish").truth
    assert (truth["written"], truth["woken"]) != ([1 << 20], [1])


def test_on_request_a_process_is_stopped_and_goes_on(start):
    target = start("waiter")
    snapshot = collect_hang(LiveHang(None), (target.pid,), PAUSING)
    assert len(snapshot.stacks[target.pid][0].threads) == 8
    assert set(states(target.pid).values()) == {"S"}
    assert "TracerPid:\t0" in read_text(f"/proc/{target.pid}/status")


def private_kib(pids):
    """Return how much memory each process has written and has alone."""
    found = {}
    for pid in pids:
        lines = read_text(f"/proc/{pid}/smaps_rollup").splitlines()
        found[pid] = next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))
    return found


@pytest.mark.parametrize("plan", [QUICK, PAUSING], ids=["default", "pausing"])
def test_looking_at_a_tree_copies_none_of_its_shared_pages(start, plan):
    target = start("ground_truth", "disjoint").order("warm")
    pids = find_tree(target.pid)
    before = private_kib(pids)
    snapshot = collect_hang(LiveHang(None), (target.pid,), plan)
    assert set(snapshot.stacks) == set(pids)
    assert private_kib(pids) == before


@pytest.mark.parametrize("plan", [QUICK, PAUSING], ids=["default", "pausing"])
def test_a_process_that_was_stopped_stays_so(start, plan):
    target = start("resting")
    os.kill(target.pid, signal.SIGSTOP)
    wait_until(lambda: read_stat(target.pid)[0] == "T", "it to stop")
    collect_hang(LiveHang(None), (target.pid,), plan)
    time.sleep(0.1)
    assert read_stat(target.pid)[0] == "T"
    os.kill(target.pid, signal.SIGCONT)
    wait_until(lambda: read_stat(target.pid)[0] == "S", "it to go on")


FREEZERS = {
    "version 1": ("/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED"),
    "version 2": ("/sys/fs/cgroup", "cgroup.freeze", "1", "0"),
    "version 2 beside 1": ("/sys/fs/cgroup/unified", "cgroup.freeze", "1", "0"),
}


@pytest.fixture
def freezer(request):
    """A control group that can be frozen, and how."""
    above, name, frozen, thawed = FREEZERS[request.param]
    group = f"{above}/airmem-test-{os.getpid()}"
    if os.geteuid() != 0 or not os.path.exists(f"{above}/cgroup.procs"):
        pytest.skip(f"needs root and a hierarchy at {above}")
    os.mkdir(group)
    if not os.path.exists(f"{group}/{name}"):
        os.rmdir(group)
        pytest.skip(f"needs {name} in {above}")

    def write(file, text):
        with open(f"{group}/{file}", "w") as stream:
            stream.write(text)

    yield group, lambda pid: write("cgroup.procs", str(pid)), lambda: write(name, frozen), lambda: write(name, thawed)
    write(name, thawed)
    for pid in read_text(f"{group}/cgroup.procs").split():
        with open(f"{above}/cgroup.procs", "w") as stream:
            stream.write(pid)
    os.rmdir(group)


@pytest.mark.parametrize("freezer", FREEZERS, indirect=True)
def test_a_frozen_process_is_read_and_stays_frozen(start, freezer):
    group, move, freeze, thaw = freezer
    target = start("resting")
    move(target.pid)
    freeze()
    wait_until(lambda: collect_hang(LiveHang(None), (target.pid,), QUICK).processes[target.pid].cgroup.is_frozen, "ice")
    snapshot = collect_hang(LiveHang(None), (target.pid,), QUICK)
    found = snapshot.processes[target.pid].cgroup
    assert (found.is_frozen, found.freezer_folder) == (True, group)
    assert snapshot.stacks[target.pid][0].threads[0].frames
    assert snapshot.processes[target.truth["child"]].cgroup.is_frozen is False
    thaw()
    wait_until(lambda: read_stat(target.pid)[0] == "S", "it to go on")


def programs_of(pid):
    """Return the children of all threads of a process, none when it has gone."""
    found = set()
    with suppress(OSError):
        for tid in os.listdir(f"/proc/{pid}/task"):
            found.update(map(int, read_text(f"/proc/{pid}/task/{tid}/children").split()))
    return sorted(found)


@pytest.mark.parametrize("number", range(KILLS))
def test_whoever_is_killed_no_target_is_left_stopped(start, number):
    """airmem, or py-spy, gets SIGKILL, SIGINT or SIGTERM at a random moment of a look that stops its target."""
    chance = random.Random(number)
    target = start("waiter")
    look = subprocess.Popen(
        [sys.executable, "-c", LOOK, str(target.pid)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert look.stdout is not None
    look.stdout.readline()
    kind, victim = chance.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM]), chance.choice(["airmem", "py-spy"])
    end = time.monotonic() + 10
    while not (programs := programs_of(look.pid)) and look.poll() is None and time.monotonic() < end:
        pass
    time.sleep(chance.random() * 0.04)
    with suppress(ProcessLookupError, IndexError):
        os.kill(look.pid if victim == "airmem" else programs[0], kind)
    with suppress(subprocess.TimeoutExpired):
        look.wait(20)
    look.kill()
    look.communicate()
    for program in programs:
        wait_until(lambda program=program: is_gone(program), "py-spy to end")
    wait_until(lambda: set(states(target.pid).values()) == {"S"}, f"{target.pid} to go on: {states(target.pid)}")
    assert "TracerPid:\t0" in read_text(f"/proc/{target.pid}/status")
