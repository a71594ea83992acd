"""The parsers on what several kernels really wrote (tests/captures/kernel-*, see ORIGIN.md there)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from airmem.collect.cgroup import collect_cgroup, collect_members
from airmem.kernel.cgroup import locate, parse_membership, parse_memory_v2, parse_process_ids
from airmem.kernel.cmdline import parse_cmdline
from airmem.kernel.maps import parse_maps_ranges
from airmem.kernel.mountinfo import parse_mounts
from airmem.kernel.reader import KernelReader
from airmem.kernel.smaps import parse_smaps, parse_smaps_rollup, sum_mappings
from airmem.kernel.stat import parse_stat
from airmem.kernel.status import parse_credentials, parse_status, parse_status_account
from airmem.model.memory import MemoryAccount

KB = 1024
MB = 1024 * 1024
CAPTURES = sorted((Path(__file__).resolve().parents[2] / "captures").glob("kernel-*"))
UNIFIED = "/sys/fs/cgroup"
EXACT = {
    "rss_bytes": "Rss",
    "private_clean_bytes": "Private_Clean",
    "private_dirty_bytes": "Private_Dirty",
    "shared_clean_bytes": "Shared_Clean",
    "shared_dirty_bytes": "Shared_Dirty",
    "swap_bytes": "Swap",
}
ROUNDED = {"pss_bytes": "Pss", "swap_pss_bytes": "SwapPss"}
ONLY_IN_ROLLUP = {"pss_anon_bytes": "Pss_Anon", "pss_file_bytes": "Pss_File", "pss_shmem_bytes": "Pss_Shmem"}
REWRITTEN_PAGES = 509
PAGE = 4 * KB


class Capture:
    """One kernel's files and who is who in them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reader = KernelReader(str(root))
        tree: dict[str, Any] = json.loads((root / "tree.json").read_text())
        self.parent: int = tree["parent"]
        self.workers: list[int] = tree["workers"]
        self.zombie: int = tree["zombie"]
        self.killed_beside: int = tree["killed_beside"]

    @property
    def living(self) -> list[int]:
        return [self.parent, *self.workers]

    def file(self, pid: int, name: str) -> bytes:
        return self.reader.read(f"/proc/{pid}/{name}")

    def rollup(self, pid: int) -> MemoryAccount:
        return parse_smaps_rollup(self.file(pid, "smaps_rollup"))

    def group(self, path: str) -> dict[str, bytes]:
        folder = self.root / (UNIFIED + path).lstrip("/")
        return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@pytest.fixture(params=CAPTURES, ids=lambda path: path.name)
def capture(request: pytest.FixtureRequest) -> Capture:
    return Capture(request.param)


def kilobytes(raw: bytes) -> dict[str, int]:
    """The rows of a file that end in kB, by whole name: written apart from the parser."""
    rows = {}
    for line in raw.decode().splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            rows[name] = int(value.removesuffix(" kB")) * KB
    return rows


def pairs(raw: bytes) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in raw.decode().splitlines())}


def test_there_are_captures():
    assert len(CAPTURES) >= 4


def test_smaps_rollup_is_read_by_whole_names(capture):
    for pid in capture.living:
        account, rows = capture.rollup(pid), kilobytes(capture.file(pid, "smaps_rollup"))
        for field, name in (EXACT | ROUNDED | ONLY_IN_ROLLUP).items():
            assert getattr(account, field) == rows[name], (pid, name)
        assert account.hugetlb_bytes == rows["Private_Hugetlb"] + rows["Shared_Hugetlb"]


def test_the_kinds_of_pss_add_up(capture):
    for pid in capture.living:
        account = capture.rollup(pid)
        kinds = account.pss_anon_bytes + account.pss_file_bytes + account.pss_shmem_bytes
        assert 0 <= account.pss_bytes - kinds <= 2 * KB  # each row is rounded down


def test_rss_is_private_and_shared(capture):
    for pid in capture.living:
        account = capture.rollup(pid)
        assert account.uss_bytes + account.shared_clean_bytes + account.shared_dirty_bytes == account.rss_bytes


def test_smaps_sums_to_smaps_rollup(capture):
    for pid in capture.living:
        mappings, whole = parse_smaps(capture.file(pid, "smaps")), capture.rollup(pid)
        total = sum_mappings(mappings)
        for field in (*EXACT, "hugetlb_bytes"):
            assert getattr(total, field) == getattr(whole, field), (pid, field)
        for field in ROUNDED:
            assert 0 <= getattr(whole, field) - getattr(total, field) <= len(mappings) * KB, (pid, field)
        assert total.pss_anon_bytes is total.pss_file_bytes is total.pss_shmem_bytes is None


def test_each_mapping_is_read_by_whole_names(capture):
    for pid in capture.living:
        raw = capture.file(pid, "smaps")
        blocks = [block.rpartition(b"\n")[0] for block in raw.split(b"VmFlags:")[:-1]]
        mappings = parse_smaps(raw)
        assert len(mappings) == len(blocks)
        for mapping, block in zip(mappings, blocks, strict=True):
            for field, name in (EXACT | ROUNDED).items():
                assert getattr(mapping.account, field) == kilobytes(block)[name], (pid, mapping.name, name)


def test_maps_and_smaps_name_the_same_ranges(capture):
    for pid in capture.living:
        mappings = [one for one in parse_smaps(capture.file(pid, "smaps")) if one.start_address < 1 << 63]
        ranges = parse_maps_ranges(capture.file(pid, "maps"))
        assert [(start, end) for start, end, _ in ranges] == [(one.start_address, one.end_address) for one in mappings]
        uncounted = {one.name for one, (_, _, counted) in zip(mappings, ranges, strict=True) if not counted}
        assert "[vvar]" in uncounted
        assert uncounted <= {"[vvar]", "[vvar_vclock]"}


def test_the_pages_of_the_kernels_clock_are_counted_from_linux_7_on(capture):
    for pid in capture.living:
        sizes = {one.name: one.account.rss_bytes for one in parse_smaps(capture.file(pid, "smaps"))}
        assert (sizes["[vvar]"] > 0) == (capture.root.name == "kernel-7.2")
        assert sizes.get("[vvar_vclock]", 0) == 0


def test_a_file_that_is_called_heap_is_not_the_heap(capture):
    for pid in capture.living:
        mappings = parse_smaps(capture.file(pid, "smaps"))
        assert [one.inode for one in mappings if one.name == "[heap]"] == [0]
        odd = [one for one in mappings if one.name == f"/tmp/an odd [heap] name {capture.parent} (deleted)"]
        assert len(odd) == 1
        assert odd[0].inode
        assert odd[0].size_bytes == 64 * PAGE


def test_huge_pages_stand_apart(capture):
    for pid in capture.living:
        (huge,) = [one for one in parse_smaps(capture.file(pid, "smaps")) if one.is_hugetlb]
        assert (huge.size_bytes, huge.account.hugetlb_bytes, huge.account.rss_bytes) == (2 * MB, 2 * MB, 0)


def test_what_a_worker_rewrote_is_its_own(capture):
    idle, _, rewriter = (capture.rollup(pid) for pid in capture.workers)
    assert 0 <= rewriter.private_dirty_bytes - REWRITTEN_PAGES * PAGE <= idle.private_dirty_bytes + 64 * PAGE


def test_collecting_garbage_costs_sharing(capture):
    idle, collector, _ = (capture.rollup(pid) for pid in capture.workers)
    assert collector.uss_bytes > idle.uss_bytes + 10 * MB


def test_swapped_memory_is_shared_as_resident_memory_is(capture):
    accounts = [capture.rollup(pid) for pid in capture.living]
    assert all(account.swap_bytes >= 4 * MB for account in accounts)
    assert all(account.swap_pss_bytes < account.swap_bytes for account in accounts)


def test_stat_tells_who_is_who(capture):
    parent = parse_stat(capture.file(capture.parent, "stat"))
    assert (parent.pid, parent.is_forked) == (capture.parent, False)
    for pid in capture.workers:
        worker = parse_stat(capture.file(pid, "stat"))
        assert (worker.pid, worker.parent_pid, worker.is_forked, worker.is_zombie) == (pid, parent.pid, True, False)
        assert worker.start_ticks >= parent.start_ticks
        assert worker.rss_pages * PAGE == pytest.approx(capture.rollup(pid).rss_bytes, rel=0.05)
    zombie = parse_stat(capture.file(capture.zombie, "stat"))
    assert (zombie.parent_pid, zombie.is_zombie, zombie.is_kernel_thread) == (parent.pid, True, False)
    assert parse_cmdline(capture.file(capture.zombie, "cmdline")) == ()


def test_status_tells_rss_swap_and_owner(capture):
    for pid in capture.living:
        raw = capture.file(pid, "status")
        fields, rows = parse_status(raw), kilobytes(raw.replace(b"\t", b" "))
        account, credentials = parse_status_account(fields), parse_credentials(fields, 1000)
        assert (account.rss_bytes, account.swap_bytes) == (rows["VmRSS"], rows["VmSwap"])
        assert account.hugetlb_bytes == rows["HugetlbPages"]
        assert account.rss_bytes == pytest.approx(capture.rollup(pid).rss_bytes, rel=0.05)
        assert credentials.user_ids == credentials.group_ids == (1000,) * 4
        assert credentials.permitted_capabilities == credentials.effective_capabilities == 0
        assert credentials.namespace_pids == (pid,)
    assert parse_status_account(parse_status(capture.file(capture.zombie, "status"))).rss_bytes is None


def test_the_command_line_is_read(capture):
    for pid in capture.living:
        assert parse_cmdline(capture.file(pid, "cmdline"))[1] == "/opt/kernels/target.py"


def test_the_control_group_is_found(capture):
    mountinfo = capture.reader.read("/proc/self/mountinfo")
    paths = ["/service/app", "/service/app", "/service/app/nested", "/service/app"]
    for pid, path in zip(capture.living, paths, strict=True):
        assert parse_membership(capture.file(pid, "cgroup")) == (2, path)
        assert locate(2, path, mountinfo) == UNIFIED + path
        assert locate(1, path, mountinfo) is None
    assert locate(2, "/../elsewhere", mountinfo) is None
    assert [mount_point for _, mount_point, _ in parse_mounts(mountinfo, "proc")] == ["/proc"]


@pytest.mark.parametrize("path", ["/service", "/service/app", "/service/small"])
def test_the_account_of_a_group_is_its_files(capture, path):
    files = capture.group(path)
    account, stat = parse_memory_v2(path, files), pairs(files["memory.stat"])
    usage_bytes = int(files["memory.current"])
    assert account.limit_bytes == int(files["memory.max"])
    assert account.usage_bytes == usage_bytes
    assert account.working_set_bytes == max(0, usage_bytes - stat["inactive_file"])
    assert (account.anon_bytes, account.file_bytes) == (stat["anon"], stat["file"])
    assert (account.slab_bytes, account.shmem_bytes) == (stat["slab"], stat["shmem"])
    assert account.swap_bytes == int(files["memory.swap.current"])
    assert account.oom_kill_count == pairs(files["memory.events"])["oom_kill"]


def test_the_account_of_a_group_holds_what_its_processes_map(capture):
    account = parse_memory_v2("/service/app", capture.group("/service/app"))
    mapped = [capture.rollup(pid) for pid in capture.living]
    own_bytes = sum(one.pss_anon_bytes + one.pss_shmem_bytes for one in mapped)
    assert account.anon_bytes + account.shmem_bytes == pytest.approx(own_bytes, abs=MB)


@pytest.mark.parametrize(
    ("who", "path", "limit_bytes"), [("parent", "/service/app", 128), ("killed_beside", "/service/small", 24)]
)
def test_collect_cgroup_reads_a_capture(capture, who, path, limit_bytes):
    account, gaps = collect_cgroup(capture.reader, getattr(capture, who))
    assert gaps == ()
    assert asdict(account) == asdict(parse_memory_v2(path, capture.group(path)))
    assert account.limit_bytes == limit_bytes * MB
    assert account.oom_kill_count == (1 if who == "killed_beside" else 0)


def test_a_group_without_the_controller_is_charged_to_its_parent(capture):
    account, gaps = collect_cgroup(capture.reader, capture.workers[1])  # in /service/app/nested
    assert gaps == ()
    assert asdict(account) == asdict(parse_memory_v2("/service/app", capture.group("/service/app")))
    assert collect_members(capture.reader, capture.workers[1]) == tuple(sorted(capture.living))


def test_the_nearest_group_with_a_limit_binds(capture, tmp_path):
    for name, limit in (("service", b"400\n"), ("service/app", b"max\n")):
        (tmp_path / UNIFIED.lstrip("/") / name).mkdir(parents=True)
        (tmp_path / UNIFIED.lstrip("/") / name / "memory.max").write_bytes(limit)
    (tmp_path / UNIFIED.lstrip("/") / "service/app/memory.current").write_bytes(b"300\n")
    for name in ("self/mountinfo", f"{capture.parent}/cgroup"):
        (tmp_path / "proc" / name).parent.mkdir(parents=True)
        (tmp_path / "proc" / name).write_bytes(capture.reader.read(f"/proc/{name}"))
    account, _ = collect_cgroup(KernelReader(str(tmp_path)), capture.parent)
    assert (account.limit_bytes, account.usage_bytes) == (400, 300)


def test_the_members_of_a_group_are_the_living_of_it_and_below(capture):
    assert collect_members(capture.reader, capture.parent) == tuple(sorted(capture.living))  # the zombie is in none
    nested = capture.group("/service/app/nested")["cgroup.procs"]
    assert parse_process_ids(nested) == (capture.workers[1],)


def test_a_capture_gives_nobody_away(capture):
    assert capture.reader.read("/proc/sys/kernel/hostname") == b"vm\n"
    release = capture.reader.read("/proc/sys/kernel/osrelease").decode()
    assert release.startswith(capture.root.name.removeprefix("kernel-") + ".")
    assert not list(capture.root.rglob("environ"))
    assert sum(file.stat().st_size for file in capture.root.rglob("*") if file.is_file()) < 320 * KB
