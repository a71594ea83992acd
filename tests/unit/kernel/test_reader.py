"""The only opener of kernel files: on the running system, and on a copy of its files."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from airmem.collect.processes import collect_processes, collect_tree_processes
from airmem.kernel.maps import parse_maps_ranges
from airmem.kernel.reader import KernelReader, _read_whole
from airmem.kernel.stat import parse_stat
from airmem.units import PAGE_BYTES
from tests.captures import CAPTURES, read_capture

NAMES = ("parent", "idle", "reader", "gc", "alloc")


@pytest.fixture
def copy(tmp_path):
    """A copy of /proc with the captured tree."""
    for name in NAMES:
        pid = parse_stat(read_capture(f"forked-tree/{name}", "stat")).pid
        shutil.copytree(CAPTURES / "forked-tree" / name, tmp_path / "proc" / str(pid))
    (tmp_path / "proc" / "sys").mkdir()
    (tmp_path / "proc" / "self").symlink_to("4711")
    return KernelReader(f"{tmp_path}/")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process to look at; it has started Python when it is handed out."""
    process = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_copy_is_read_like_the_system(copy):
    pids = sorted(parse_stat(read_capture(f"forked-tree/{name}", "stat")).pid for name in NAMES)
    assert not copy.is_live
    assert copy.process_ids() == pids
    assert [*collect_processes(copy)] == pids
    root = parse_stat(read_capture("forked-tree/parent", "stat")).pid
    tree = collect_tree_processes(copy, root)
    assert tree[0].pid == root
    assert sorted(one.pid for one in tree) == pids
    assert copy.link("/proc/self") == "4711"
    assert copy.exists("/proc/sys")
    assert not copy.exists("/proc/nothing")


def test_a_pid_used_again_while_all_were_listed_makes_no_endless_tree(tmp_path):
    # 70 was read as a child of 71, ended, and its pid went to a child of 71's child before that was read.
    for pid, parent_pid in ((70, 71), (71, 70), (72, 71)):
        (tmp_path / "proc" / str(pid)).mkdir(parents=True)
        line = f"{pid} (x) S {parent_pid} 1 1 0 -1 64 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n"
        (tmp_path / "proc" / str(pid) / "stat").write_text(line)
    assert [one.pid for one in collect_tree_processes(KernelReader(str(tmp_path)), 70)] == [70, 71, 72]


def test_files_of_a_process(copy):
    root = parse_stat(read_capture("forked-tree/parent", "stat")).pid
    with copy.process(root) as files:
        assert files.read("smaps") == read_capture("forked-tree/parent", "smaps")
        assert files.read("stat", 10) == read_capture("forked-tree/parent", "stat")[:10]
        assert files.owner_uid() == os.getuid()
        with pytest.raises(FileNotFoundError):
            files.read("environ")


def test_a_file_larger_than_one_read_is_whole(tmp_path):
    raw = os.urandom((1 << 16) * 3 + 17)
    (tmp_path / "large").write_bytes(raw)
    assert KernelReader(str(tmp_path)).read("/large") == raw
    (tmp_path / "empty").write_bytes(b"")
    assert KernelReader(str(tmp_path)).read("/empty") == b""


def test_words_beyond_the_end_of_a_file_are_zero(tmp_path):
    (tmp_path / "proc" / "7").mkdir(parents=True)
    words = [5, 6, 7, 8]
    (tmp_path / "proc" / "7" / "pagemap").write_bytes(b"".join(word.to_bytes(8, "little") for word in words))
    target = bytearray(b"\xff" * 40)
    with KernelReader(str(tmp_path)).process(7) as files:
        files.read_words("pagemap", ((1, 2), (3, 2), (900, 1)), memoryview(target))
    assert [int.from_bytes(target[at : at + 8], "little") for at in range(0, 40, 8)] == [6, 7, 8, 0, 0]


def test_errors_are_the_kernels(copy):
    with pytest.raises(FileNotFoundError):
        copy.process(1)
    with pytest.raises(FileNotFoundError):
        copy.read("/proc/meminfo")


def test_no_descriptor_is_left_open(copy):
    before = len(os.listdir("/proc/self/fd"))
    for pid in copy.process_ids():
        with copy.process(pid) as files:
            files.read("smaps")
            files.entries(".")
    copy.entries("/proc")
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_dead_are_gone_although_their_folder_is_open(sleeper):
    with KernelReader().process(sleeper.pid) as files:
        assert parse_stat(files.read("stat")).pid == sleeper.pid
        sleeper.kill()
        sleeper.wait()
        for name in ("stat", "smaps_rollup", "smaps", "maps", "status", "cmdline"):
            with pytest.raises(OSError, match=f".*{name}|No such process") as caught:
                files.read(name)
            assert caught.value.errno in (errno.ESRCH, errno.ENOENT)


@pytest.mark.parametrize("is_reaped", [False, True])
def test_a_page_table_that_ends_while_it_is_read_in_parts_is_not_taken_for_empty(sleeper, is_reaped):
    start = parse_maps_ranges(KernelReader().read(f"/proc/{sleeper.pid}/maps"))[0][0] // PAGE_BYTES
    beyond = (1 << 47) // PAGE_BYTES + 5  # user space
    words = bytearray(8)
    with KernelReader().process(sleeper.pid) as files:
        files.read_words("pagemap", ((start, 1),), memoryview(words))
        assert any(words)
        files.read_words("pagemap", ((beyond, 1),), memoryview(words))
        assert not any(words)
        sleeper.kill()
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | (0 if is_reaped else os.WNOWAIT))
        with pytest.raises(ProcessLookupError):
            files.read_words("pagemap", ((start, 1),), memoryview(words))


@pytest.mark.parametrize("name", ["smaps", "maps"])
@pytest.mark.parametrize("order", [b"end", b"exec"])
def test_a_list_of_mappings_that_ends_early_is_not_taken_for_whole(name, order):
    program = "import os\nprint(flush=True)\nos.execvp('sleep', ['sleep', '60']) if input() == 'exec' else os._exit(0)"
    target = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert target.stdin is not None
    assert target.stdout is not None
    target.stdout.readline()
    file = os.open(f"/proc/{target.pid}/{name}", os.O_RDONLY)
    os.read(file, 1)
    target.stdin.write(order + b"\n")
    target.stdin.close()
    while not has_changed(target.pid):
        time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        _read_whole(file, name)  # the rest of what the kernel still had in hand, then its early end
    target.kill()
    target.wait()
    target.stdout.close()


def has_changed(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", "rb") as stat:
        process = parse_stat(stat.read())
    return process.is_zombie or process.command == "sleep"
