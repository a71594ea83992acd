"""smaps and smaps_rollup, on captures of real processes."""

from __future__ import annotations

import pytest

from airmem.codec.document import fields_of
from airmem.errors import Malformed
from airmem.kernel.smaps import parse_smaps, parse_smaps_rollup, sum_mappings
from airmem.model.mapping import Mapping
from tests.captures import PROCESSES, read_capture

KIB = 1024
EXACT = (
    "rss_bytes",
    "private_clean_bytes",
    "private_dirty_bytes",
    "shared_clean_bytes",
    "shared_dirty_bytes",
    "swap_bytes",
    "hugetlb_bytes",
    "uss_bytes",
)
ROUNDED = ("pss_bytes", "swap_pss_bytes")
ROLLUP = b"00400000-7ffff6141000 ---p 00000000 00:00 0                              [rollup]\n"


def rollup_of(process: str) -> dict[bytes, int]:
    lines = [line.split() for line in read_capture(process, "smaps_rollup").split(b"\n")[1:] if line]
    return {words[0]: int(words[1]) * KIB for words in lines}


def named(name: str) -> list[Mapping]:
    return [one for one in parse_smaps(read_capture("weird-python", "smaps")) if one.name == name]


@pytest.mark.parametrize("process", PROCESSES)
def test_the_rollup_is_the_files(process):
    account, truth = parse_smaps_rollup(read_capture(process, "smaps_rollup")), rollup_of(process)
    assert account.rss_bytes == truth[b"Rss:"]
    assert account.pss_bytes == truth[b"Pss:"]
    assert account.uss_bytes == truth[b"Private_Clean:"] + truth[b"Private_Dirty:"]
    assert account.shared_clean_bytes == truth[b"Shared_Clean:"]
    assert account.shared_dirty_bytes == truth[b"Shared_Dirty:"]
    assert account.pss_anon_bytes == truth[b"Pss_Anon:"]
    assert account.pss_file_bytes == truth[b"Pss_File:"]
    assert account.pss_shmem_bytes == truth[b"Pss_Shmem:"]
    assert account.swap_bytes == truth[b"Swap:"]
    assert account.swap_pss_bytes == truth[b"SwapPss:"]
    assert account.hugetlb_bytes == truth[b"Shared_Hugetlb:"] + truth[b"Private_Hugetlb:"]


@pytest.mark.parametrize("process", PROCESSES)
def test_the_sum_of_mappings_is_the_rollup_up_to_rounding(process):
    rollup = parse_smaps_rollup(read_capture(process, "smaps_rollup"))
    mappings = parse_smaps(read_capture(process, "smaps"))
    total = sum_mappings(mappings)
    for name in EXACT:
        assert getattr(total, name) == getattr(rollup, name), name
    for name in ROUNDED:
        lost = getattr(rollup, name) - getattr(total, name)
        assert -KIB <= lost <= KIB * len(mappings), name
    assert (total.pss_anon_bytes, total.pss_file_bytes, total.pss_shmem_bytes) == (None, None, None)


@pytest.mark.parametrize("process", PROCESSES)
def test_every_mapping_of_maps_is_in_smaps(process):
    mappings = parse_smaps(read_capture(process, "smaps"))
    headers = [line for line in read_capture(process, "maps").split(b"\n") if line]
    assert [f"{one.start_address:08x}-{one.end_address:08x} {one.permissions}" for one in mappings] == [
        b" ".join(line.split()[:2]).decode() for line in headers
    ]


def test_a_made_up_row_is_not_added():
    made_up = b"Pss_Foo: 999 kB\nRss2: 999 kB\nPrivate_Clean_Foo: 999 kB\nXPss: 999 kB\nPss_Dirty: 3 kB\nRss 9 kB\n"
    rows = b"Rss: 10 kB\nPss: 7 kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 2 kB\n"
    plain, more = parse_smaps_rollup(ROLLUP + rows), parse_smaps_rollup(ROLLUP + made_up + rows + made_up)
    assert fields_of(plain) == fields_of(more)
    assert (plain.rss_bytes, plain.pss_bytes, plain.uss_bytes) == (10 * KIB, 7 * KIB, 3 * KIB)


def test_an_old_kernels_rollup_leaves_the_rest_unknown():
    account = parse_smaps_rollup(ROLLUP + b"Rss: 10 kB\nPss: 7 kB\n")
    assert account.uss_bytes is None
    assert (account.pss_anon_bytes, account.swap_bytes, account.hugetlb_bytes) == (None, None, None)


@pytest.mark.parametrize(
    "raw", [b"", ROLLUP, ROLLUP + b"Rss: 1 kB\n", ROLLUP + b"Rss: x kB\nPss: 1 kB\n", ROLLUP + b"Rss: -1 kB\nPss: 1 kB"]
)
def test_a_rollup_without_rss_and_pss_is_malformed(raw):
    with pytest.raises(Malformed):
        parse_smaps_rollup(raw)


@pytest.mark.parametrize("process", PROCESSES)
def test_smaps_cut_within_a_mapping_is_malformed(process):
    raw = read_capture(process, "smaps")
    with pytest.raises(Malformed):
        parse_smaps(raw[: raw.rindex(b"\nPss:")])


@pytest.mark.parametrize("raw", [b"garbage\n", b"00-11\nRss: 1 kB\n", b"a-b rw-p 0 0 x\nRss: 1 kB\nPss: 1 kB\n"])
def test_what_is_no_smaps_is_malformed(raw):
    with pytest.raises(Malformed):
        parse_smaps(raw)


def test_a_process_without_mappings_has_none():
    assert parse_smaps(b"") == ()


def test_odd_names_are_kept():
    names = {one.name for one in parse_smaps(read_capture("weird-python", "smaps"))}
    for part in ("  ", "\\012", "\t", "\\", "\x1b", "\udcff"):
        assert any(part in name for name in names), part
    assert any(name.startswith("/memfd:") and name.endswith(" (deleted)") for name in names)


def test_a_file_called_heap_is_not_the_heap():
    for name in ("[heap]", "[anon: fake]"):
        files = [one for one in parse_smaps(read_capture("weird-python", "smaps")) if one.name.endswith("/" + name)]
        assert [one.inode != 0 for one in files] == [True] * len(files)
        assert files, name
    assert {one.inode for one in named("[heap]")} == {0}


def test_hugetlb_is_apart_from_rss():
    mapping = next(one for one in parse_smaps(read_capture("weird-python", "smaps")) if one.is_hugetlb)
    assert mapping.account.rss_bytes == 0
    assert mapping.account.hugetlb_bytes
    assert mapping.size_bytes % (2 << 20) == 0
    whole = parse_smaps_rollup(read_capture("weird-python", "smaps_rollup"))
    assert whole.hugetlb_bytes == mapping.account.hugetlb_bytes


def test_huge_pages_are_within_rss():
    raw = read_capture("weird-python", "smaps")
    assert max(int(line.split()[1]) for line in raw.split(b"\n") if line.startswith(b"AnonHugePages:")) >= 2048
    huge = [one for one in parse_smaps(raw) if (one.account.rss_bytes or 0) >= 2 << 20]
    assert huge


def test_what_is_swapped_is_shared_by_both():
    for process in ("swapped-pair/parent", "swapped-pair/child"):
        account = parse_smaps_rollup(read_capture(process, "smaps_rollup"))
        assert (account.swap_bytes, account.swap_pss_bytes) == (40960 * KIB, 20480 * KIB)


@pytest.mark.parametrize("process", ["gvisor-pair/parent", "gvisor-pair/child"])
def test_gvisor_calls_every_page_private(process):
    for mapping in parse_smaps(read_capture(process, "smaps")):
        assert mapping.account.pss_bytes == mapping.account.rss_bytes
        assert (mapping.account.shared_clean_bytes, mapping.account.shared_dirty_bytes) == (0, 0)


def test_rows_that_one_mapping_lacks_make_the_sum_unknown():
    rows = b"Rss: 4 kB\nPss: 4 kB\n"
    raw = b"1000-2000 rw-p 0 00:00 0\nSwapPss: 1 kB\n" + rows + b"2000-3000 rw-p 0 00:00 0\n" + rows
    total = sum_mappings(parse_smaps(raw))
    assert (total.rss_bytes, total.swap_pss_bytes) == (8 * KIB, None)
