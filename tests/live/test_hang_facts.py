"""What is read of a tree that stands still is what its programs did, and a record of it gives the same again."""

from __future__ import annotations

import gzip
import io
import os
import platform
import signal
import struct
import tarfile
from pathlib import Path

import pytest

from airmem.capture.hang_bundle import INDEX, open_bundle, pack_record, read_record
from airmem.collect.hang_source import KeptHang, LiveHang
from airmem.collect.looking_plan import LookingPlan
from airmem.collect.stacks import collect_hang
from airmem.errors import Malformed, ProcessGone
from airmem.kernel.record import HangRecord
from tests.live.tree import read_stat, wait_until

QUICK = LookingPlan(window_seconds=0.2)


@pytest.fixture
def waiter(start):
    return start("waiter")


@pytest.fixture
def snapshot(waiter):
    return collect_hang(LiveHang(None), (waiter.pid,), QUICK)


def task_of(snapshot, waiter, name):
    return snapshot.looks[0].processes[waiter.pid].task(waiter.truth["threads"][name]["tid"])


def descriptor_of(snapshot, waiter, name):
    task, truth = task_of(snapshot, waiter, name), waiter.truth["threads"][name]
    assert task.system_call.arguments[0] == truth["fd"]
    return snapshot.processes[waiter.pid].descriptors[truth["fd"]]


CALLS = {
    "tcp": "recvfrom",
    "unix": "recvfrom",
    "pipe": "read",
    "full": "write",
    "flock": "flock",
    "lock": "futex",
    "sleep": "clock_nanosleep",
}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="system calls of other machines")
@pytest.mark.parametrize(("name", "call"), CALLS.items())
def test_each_thread_is_in_its_system_call(snapshot, waiter, name, call):
    task = task_of(snapshot, waiter, name)
    assert task.system_call.name == call
    assert task.state == "S"
    assert task.wait_channel not in ("", "0")
    assert task.idle_seconds is None or 0 <= task.idle_seconds < 600


def test_each_thread_has_its_stack_and_name(snapshot, waiter):
    (stacks,) = snapshot.stacks[waiter.pid]
    for name, truth in waiter.truth["threads"].items():
        thread = stacks.thread(truth["tid"])
        assert thread.name == name
        assert "run" in [frame.short_function for frame in thread.frames]
    assert snapshot.processes[waiter.pid].python_version == waiter.truth["python"]
    assert stacks.paused_seconds == 0.0


def test_a_connection_has_its_ends_and_who_holds_the_other(snapshot, waiter):
    truth = waiter.truth["threads"]["tcp"]
    found = snapshot.sockets[descriptor_of(snapshot, waiter, "tcp").inode]
    assert (found.local, found.remote) == tuple("{}:{}".format(*truth[end]) for end in ("local", "remote"))
    assert (found.state, found.family) == ("ESTAB", "tcp")
    other = next(one for one in snapshot.sockets.values() if (one.local, one.remote) == (found.remote, found.local))
    assert {holder.pid for holder in snapshot.holders[other.inode]} == {waiter.truth["child"]}


def test_a_unix_socket_has_its_peer(snapshot, waiter):
    found = snapshot.sockets[descriptor_of(snapshot, waiter, "unix").inode]
    assert {holder.pid for holder in snapshot.holders[found.peer_inode]} == {waiter.truth["child"]}


@pytest.mark.parametrize(("name", "own", "other"), [("pipe", "r", "w"), ("full", "w", "r")])
def test_a_pipe_has_two_ends(snapshot, waiter, name, own, other):
    holders = snapshot.holders[descriptor_of(snapshot, waiter, name).inode]
    assert {(one.pid, one.access) for one in holders} == {(waiter.pid, own), (waiter.truth["child"], other)}


def test_a_file_lock_has_a_holder_and_who_waits(snapshot, waiter):
    descriptor = descriptor_of(snapshot, waiter, "flock")
    inode = waiter.truth["threads"]["flock"]["inode"]
    assert descriptor.inode == inode
    locks = [one for one in snapshot.file_locks if one.inode == inode]
    assert {(one.owner_pid, one.is_waiting) for one in locks} == {(waiter.truth["child"], False), (waiter.pid, True)}
    assert {one.device for one in locks} == {descriptor.device}
    held = snapshot.processes[waiter.truth["child"]].descriptors.values()
    assert [lock.mode for one in held for lock in one.locks] == ["WRITE"]


def test_a_holder_outside_the_tree_is_found(waiter):
    child = waiter.truth["child"]
    snapshot = collect_hang(LiveHang(None), (child,), QUICK)
    assert set(snapshot.processes) == {child}
    assert snapshot.outsiders[waiter.pid].arguments[-1].endswith("waiter.py")
    assert any(one.pid == waiter.pid for holders in snapshot.holders.values() for one in holders)


def test_looks_are_in_order_and_the_last_comes_after_the_stacks(snapshot):
    assert [look.has_stacks_before for look in snapshot.looks] == [False, False, False, True]
    times = [look.at_seconds for look in snapshot.looks]
    assert times == sorted(times)
    assert times[2] - times[0] >= QUICK.window_seconds * 0.9
    assert all(stack.at_seconds >= times[2] for (stack,) in snapshot.stacks.values())


def test_memory_and_sources_are_looked_up(waiter):
    source = LiveHang(None)
    snapshot = collect_hang(source, (waiter.pid,), QUICK)
    key = snapshot.processes[waiter.pid].process.key
    address = task_of(snapshot, waiter, "sleep").system_call.arguments[2]
    deadline_seconds, _ = struct.unpack("=qq", source.memory.read(key, address, 16))
    assert 10**6 - 600 < deadline_seconds - snapshot.monotonic_seconds <= 10**6
    assert source.memory.read(key, 0, 8) == b""
    assert source.memory.read((key[0], key[1] + 1), address, 16) == b""
    frame = next(one for one in snapshot.stacks[waiter.pid][0].threads if one.name == "sleep").frames[0]
    assert "time.sleep(10**6)" in source.sources.text(key, frame.file).split("\n")[frame.line - 1]
    assert source.sources.text(key, "/no/such/file.py") is None


def test_a_word_is_found_in_memory(waiter):
    source = LiveHang(None)
    snapshot = collect_hang(source, (waiter.pid,), QUICK)
    process = snapshot.processes[waiter.pid]
    futex = task_of(snapshot, waiter, "lock").system_call.arguments[0]
    ranges = [
        (one.start_address, one.end_address - one.start_address)
        for one in process.mappings
        if one.permissions == "rw-p" and not one.name.startswith("/")
    ]
    word = struct.pack("=Q", futex)
    for address in source.memory.find(process.process.key, word, ranges, 1 << 28):
        assert source.memory.read(process.process.key, address, 8) == word


def test_only_what_uses_cpu_is_looked_at_again(start, waiter):
    busy = start("spinner")
    snapshot = collect_hang(LiveHang(None), (busy.pid, waiter.pid), LookingPlan(window_seconds=1.0))
    assert len(snapshot.stacks[waiter.pid]) == 1
    assert len(snapshot.stacks[busy.pid]) == 9
    assert snapshot.root_pids == (busy.pid, waiter.pid)


def test_a_process_that_is_not_there_is_an_error():
    with pytest.raises(ProcessGone):
        collect_hang(LiveHang(None), (1 << 22,), QUICK)


def test_a_stopped_process_is_read_and_stays_stopped(waiter):
    os.kill(waiter.pid, signal.SIGSTOP)
    wait_until(lambda: read_stat(waiter.pid)[0] == "T", "it to stop")
    snapshot = collect_hang(LiveHang(None), (waiter.pid,), QUICK)
    assert snapshot.looks[0].processes[waiter.pid].state == "T"
    assert len(snapshot.stacks[waiter.pid][0].threads) == 8
    assert read_stat(waiter.pid)[0] == "T"


def packed(record, path: Path, form: str) -> Path:
    """Write a record as people get it: a folder, or a compressed tar."""
    members = pack_record(record)
    if form == "folder":
        for name, raw in members.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(raw)
        return path
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, raw in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(raw)
            tar.addfile(header, io.BytesIO(raw))
    (path / "b.tar.gz").write_bytes(gzip.compress(stream.getvalue()))
    return path / "b.tar.gz"


@pytest.mark.parametrize("form", ["folder", "tar.gz"])
def test_a_bundle_gives_the_same_facts(waiter, tmp_path, form):
    record = HangRecord()
    live = LiveHang(record)
    snapshot = collect_hang(live, (waiter.pid,), QUICK)
    key = snapshot.processes[waiter.pid].process.key
    address = task_of(snapshot, waiter, "sleep").system_call.arguments[2]
    file = snapshot.stacks[waiter.pid][0].threads[0].frames[-1].file
    seen = (live.memory.read(key, address, 16), live.sources.text(key, file))
    waiter.stop()
    kept = KeptHang(open_bundle(str(packed(record, tmp_path, form))))
    again = collect_hang(kept, (), LookingPlan())
    assert again == snapshot
    assert (kept.memory.read(key, address, 16), kept.sources.text(key, file)) == seen
    assert seen[0]
    assert seen[1]


def test_a_bundle_holds_no_secret(start, programs):
    secret = "hunter2hunter2"
    target = start("resting", f"--password={secret}", env={**os.environ, "SECRET": secret})
    record = HangRecord()
    live = LiveHang(record)
    collect_hang(live, (target.pid,), QUICK)
    everything = b"".join(pack_record(record).values())
    assert b"resting.py" in everything
    assert secret.encode() not in everything


@pytest.mark.parametrize("index", [b"", b"{}", b"[]", b'{"format": "airmem-hang", "format_version": 1}', b"{" * 5000])
def test_what_is_no_bundle_is_malformed(index):
    with pytest.raises(Malformed):
        read_record({INDEX: index}, "b")
    with pytest.raises(Malformed):
        read_record({}, "b")
