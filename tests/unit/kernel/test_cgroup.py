"""Control groups: which one, where it is mounted, and its account."""

from __future__ import annotations

import pytest

from airmem.kernel.cgroup import locate, parse_membership, parse_memory_v1, parse_memory_v2, parse_process_ids

MIB = 1 << 20
HYBRID = b"""\
12:cpuset:/
4:memory,hugetlb:/docker/abc
1:name=systemd:/
0::/system.slice/docker.service
"""


def mounts(*lines: str) -> bytes:
    return "".join(f"31 30 0:29 {one}\n" for one in lines).encode()


V1 = "{root} {point} rw - cgroup cgroup rw,{controller}"
V2 = "{root} {point} rw - cgroup2 cgroup2 rw,nsdelegate"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (HYBRID, (1, "/docker/abc")),
        (b"0::/user.slice/a:b\n", (2, "/user.slice/a:b")),
        (b"0::/\n", (2, "/")),
        (b"5:memory:/a:b\n", (1, "/a:b")),
        (b"5:memory:/\xe4\n", (1, "/\udce4")),
        (b"5:name=memory:/x\n", None),
        (b"5:notmemory:/x\n", None),
        (b"", None),
        (b"0::/a\x0b9:memory:/forged\n", (2, "/a\x0b9:memory:/forged")),
    ],
)
def test_membership(raw, expected):
    assert parse_membership(raw) == expected


@pytest.mark.parametrize(
    ("version", "path", "mountinfo", "expected"),
    [
        (2, "/a/b", mounts(V2.format(root="/", point="/sys/fs/cgroup")), "/sys/fs/cgroup/a/b"),
        (2, "/", mounts(V2.format(root="/", point="/sys/fs/cgroup")), "/sys/fs/cgroup"),
        (2, "/pod/c1", mounts(V2.format(root="/pod/c1", point="/sys/fs/cgroup")), "/sys/fs/cgroup"),
        (2, "/pod/c1/x", mounts(V2.format(root="/pod/c1", point="/sys/fs/cgroup")), "/sys/fs/cgroup/x"),
        (2, "/pod/c11", mounts(V2.format(root="/pod/c1", point="/sys/fs/cgroup")), None),
        (2, "/..", mounts(V2.format(root="/", point="/sys/fs/cgroup")), None),
        (2, "/../../other", mounts(V2.format(root="/", point="/sys/fs/cgroup")), None),
        (2, "/..data/x", mounts(V2.format(root="/", point="/sys/fs/cgroup")), "/sys/fs/cgroup/..data/x"),
        (2, "/a", mounts(V2.format(root="/", point="/mnt/c\\040g")), "/mnt/c g/a"),
        (2, "/a", mounts(V1.format(root="/", point="/sys/fs/cgroup/memory", controller="memory")), None),
        (1, "/a", mounts(V1.format(root="/", point="/cg/cpu", controller="cpu")), None),
        (
            1,
            "/a",
            mounts(
                V1.format(root="/", point="/cg/cpu", controller="cpu"),
                V1.format(root="/", point="/cg/memory", controller="memory"),
            ),
            "/cg/memory/a",
        ),
        (1, "/docker/abc", mounts(V1.format(root="/docker/abc", point="/cg/m", controller="memory")), "/cg/m"),
        (1, "/a", b"", None),
    ],
)
def test_a_group_is_found_where_it_is_mounted(version, path, mountinfo, expected):
    assert locate(version, path, mountinfo) == expected


def test_version_1():
    stat = (
        b"cache 1\nrss 2\ntotal_cache 50\ntotal_rss 60\ntotal_rss_huge 999\ntotal_shmem 7\ntotal_swap 8\n"
        b"total_inactive_file 30\nhierarchical_memory_limit 1000\n"
    )
    files = {
        "memory.stat": stat,
        "memory.limit_in_bytes": b"9223372036854771712\n",
        "memory.usage_in_bytes": b"120\n",
        "memory.oom_control": b"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    }
    account = parse_memory_v1("/x", files)
    assert (account.version, account.path, account.limit_bytes) == (1, "/x", 1000)
    assert (account.usage_bytes, account.working_set_bytes) == (120, 90)
    assert (account.anon_bytes, account.file_bytes, account.shmem_bytes, account.swap_bytes) == (60, 50, 7, 8)
    assert (account.slab_bytes, account.oom_kill_count) == (None, 3)


def test_version_1_takes_the_tighter_limit():
    stat = {"memory.stat": b"hierarchical_memory_limit 500\n"}
    assert parse_memory_v1("/", {**stat, "memory.limit_in_bytes": b"400\n"}).limit_bytes == 400
    assert parse_memory_v1("/", {**stat, "memory.limit_in_bytes": b"600\n"}).limit_bytes == 500
    assert parse_memory_v1("/", {"memory.limit_in_bytes": b"9223372036854771712\n"}).limit_bytes is None


def test_version_2():
    stat = b"anon 60\nfile 50\nkernel 9\nshmem 7\ninactive_file 130\nslab 5\nanon_thp 999\nslab_reclaimable 4\n"
    files = {
        "memory.stat": stat,
        "memory.max": b"max\n",
        "memory.current": b"120\n",
        "memory.swap.current": b"0\n",
        "memory.events": b"low 0\nhigh 0\nmax 1\noom 2\noom_kill 1\noom_group_kill 0\n",
    }
    account = parse_memory_v2("/", files)
    assert (account.version, account.limit_bytes, account.usage_bytes) == (2, None, 120)
    assert account.working_set_bytes == 0
    assert (account.anon_bytes, account.file_bytes, account.shmem_bytes, account.slab_bytes) == (60, 50, 7, 5)
    assert (account.swap_bytes, account.oom_kill_count) == (0, 1)
    assert parse_memory_v2("/", {**files, "memory.max": b"256\n"}).limit_bytes == 256


@pytest.mark.parametrize("parse", [parse_memory_v1, parse_memory_v2])
def test_missing_files_are_unknown_not_zero(parse):
    account = parse("/", {})
    names = [name for name in account.__slots__ if name not in ("version", "path")]
    assert {getattr(account, name) for name in names} == {None}


def test_pids_of_another_namespace_are_zero():
    assert parse_process_ids(b"0\n12\n12\n700\n") == (0, 12, 12, 700)
    assert parse_process_ids(b"") == ()
