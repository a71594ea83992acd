"""pmap's output tells what smaps told of the same process, fact by fact, and nothing that it does not hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airmem.capture.foreign.facts import ToldProcess
from airmem.capture.foreign.recognize import parse_text
from airmem.errors import Malformed
from airmem.kernel.smaps import parse_smaps, parse_smaps_rollup
from airmem.model.mapping import Mapping
from airmem.model.memory import MemoryAccount

CAPTURES = Path(__file__).parents[2] / "captures"
PLACES = ("bash", "weird-python", "swapped-pair/parent", "swapped-pair/child")
FILES = [path for place in PLACES for path in sorted((CAPTURES / place).glob("pmap-*"))]
NEVER = ("pss_anon_bytes", "pss_file_bytes", "pss_shmem_bytes")
PRIVATE = ("private_clean_bytes", "private_dirty_bytes", "shared_clean_bytes", "shared_dirty_bytes")
CARRIED = {
    "pmap": (),
    "pmap -d": (),
    "pmap -x": ("rss_bytes",),
    "pmap -X": ("rss_bytes", "pss_bytes", "swap_bytes", "swap_pss_bytes", "hugetlb_bytes"),
    "pmap -XX": ("rss_bytes", "pss_bytes", "swap_bytes", "swap_pss_bytes", "hugetlb_bytes", *PRIVATE),
    "busybox pmap": (),
    "busybox pmap -x": ("pss_bytes", "swap_bytes"),
}


def form_of(path: Path) -> str:
    """Return what the sample's name says of the tool and its options."""
    tool = "busybox pmap" if "busybox" in path.name else "pmap"
    option = re.sub(r".*-\d[\d.]*\d-?", "", path.name).partition(".")[0].partition("A0x")[0]
    letter = "".join(one for one in option.replace("plain", "") if one in "xXd")
    return f"{tool} -{letter}" if letter else tool


def tell(path: Path) -> ToldProcess:
    told = parse_text(path.read_bytes(), "FILE")
    assert told.form == form_of(path)
    (process,) = told.processes
    return process


def kernel_mappings(path: Path) -> tuple[Mapping, ...]:
    mappings = parse_smaps((path.parent / "smaps").read_bytes())
    if "A0x7f" in path.name:
        return tuple(one for one in mappings if 0x7F0000000000 <= one.start_address <= 0x7FFFFFFFFFFF)
    return mappings


def ids(path: Path) -> str:
    return str(path.relative_to(CAPTURES))


def is_of_another_time(path: Path, mapping: Mapping) -> bool:
    """busybox ran when more or fewer processes shared the same pages."""
    shared_bytes = (mapping.account.shared_clean_bytes or 0) + (mapping.account.shared_dirty_bytes or 0)
    return "busybox" in path.name and not mapping.account.swap_bytes and (mapping.inode != 0 or shared_bytes > 0)


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_each_mapping_is_the_kernels(path):
    process, kernel = tell(path), kernel_mappings(path)
    assert process.mappings is not None
    assert [one.start_address for one in process.mappings] == [one.start_address for one in kernel]
    facts = CARRIED[form_of(path)]
    for told, true in zip(process.mappings, kernel, strict=True):
        assert (told.end_address, told.permissions) == (true.end_address, true.permissions)
        for fact in MemoryAccount.__slots__:
            if fact not in facts:
                assert getattr(told.account, fact) is None, fact
            elif fact == "pss_bytes" and is_of_another_time(path, true):
                assert getattr(told.account, fact) <= (true.account.rss_bytes or 0)
            else:
                assert getattr(told.account, fact) == getattr(true.account, fact), (fact, hex(told.start_address))


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_the_sums_are_the_kernels(path):
    account = tell(path).account
    rollup = parse_smaps_rollup((path.parent / "smaps_rollup").read_bytes())
    facts = CARRIED[form_of(path)]
    mappings = kernel_mappings(path)
    for fact in MemoryAccount.__slots__:
        told, true = getattr(account, fact), getattr(rollup, fact)
        if fact not in facts:
            assert told is None, fact
        elif fact == "pss_bytes":
            lost = 1024 * len(mappings)
            assert abs(true - told) < lost if "busybox" not in path.name else told > 0
        elif fact == "swap_pss_bytes":
            assert 0 <= true - told < 1024 * len(mappings)
        else:
            assert told == true, fact


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_a_name_is_as_it_was_printed(path):
    process = tell(path)
    has_whole_path = "busybox" in path.name or re.search(r"-x?p$", path.name)
    is_old = re.search(r"procps-(3\.3\.17|4\.0\.2|4\.0\.4)", path.name) and "X" not in path.name
    for told, true in zip(process.mappings or (), kernel_mappings(path), strict=True):
        if told.name in ("[ anon ]", "[ stack ]") or told.name.startswith("[ shmid="):
            assert true.inode == 0 or true.name.startswith("/SYSV")
        elif "busybox" in path.name:
            assert true.name.startswith(told.name)
        else:
            name = true.name if has_whole_path else true.name.rpartition("/")[2]
            kept = "".join(one if " " <= one <= "~" else "?" for one in name) if is_old else name
            alike = told.name.replace("?", "") in (kept.replace("?", ""), name.replace("\udcff", "").replace("?", ""))
            assert told.name == name or alike, (told.name, name)


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_whether_it_is_whole_is_told(path):
    process = tell(path)
    quiet = re.search(r"-x?q$", path.name)
    assert [it.reason for it in process.obstacles] == ["no_totals"] * bool(quiet) + ["not_in_format"] * (
        "A0x" in path.name
    )
    assert process.pid == int((path.parent / "stat").read_bytes().split()[0])
    assert process.title


def outcome(raw: bytes) -> tuple[ToldProcess, ...] | str:
    """Return the processes, or why there are none."""
    try:
        return parse_text(raw, "FILE").processes
    except Malformed as problem:
        return problem.cause


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_a_file_that_was_cut_never_gives_a_wrong_sum(path):
    raw = path.read_bytes()
    whole = tell(path)
    for length in {len(raw) * part // 40 for part in range(1, 40)} | {len(raw) - 2, len(raw) - 60}:
        found = outcome(raw[:length])
        if isinstance(found, str):
            assert found.startswith("FILE, line ")
            continue
        (process,) = found
        assert whole.mappings is not None
        assert process.mappings is not None
        for told, true in zip(process.mappings, whole.mappings, strict=False):
            assert (told.start_address, told.account) == (true.start_address, true.account)
            assert true.name.startswith(told.name.strip("[ ")) or true.name.startswith("[")
        reasons = [it.reason for it in process.obstacles]
        assert process.account in (whole.account, MemoryAccount()) or reasons == ["no_totals"]


def test_a_cut_file_says_in_which_line():
    raw = (CAPTURES / "bash/pmap-procps-4.0.7-x").read_bytes()
    lines = raw.split(b"\n")
    (process,) = parse_text(b"\n".join(lines[:20]) + b"\n", "FILE").processes
    (it,) = process.obstacles
    assert (it.fact, it.reason) == ("process", "file_cut")
    assert "FILE, line 20: " in it.detail
    assert process.account == MemoryAccount()
    assert process.mappings is not None
    assert len(process.mappings) == 18


def test_a_line_taken_out_is_noticed_at_the_totals():
    lines = (CAPTURES / "bash/pmap-procps-4.0.7-x").read_bytes().split(b"\n")
    (process,) = parse_text(b"\n".join(lines[:5] + lines[6:]), "FILE").processes
    (it,) = process.obstacles
    assert it.reason == "file_cut"
    assert "lines are missing" in it.detail
    assert process.account.rss_bytes is None


@pytest.mark.parametrize("option", ["", "-x", "-d", "-X", "-XX", "-q", "-xq"])
def test_several_processes_in_one_file(option):
    raw = (CAPTURES / f"other-tools/pmap-procps-4.0.2{option}").read_bytes()
    processes = parse_text(raw, "FILE").processes
    assert [one.pid for one in processes] == [6, 8, 9]
    for one in processes:
        kernel = parse_smaps((CAPTURES / f"other-tools/copy/proc/{one.pid}/smaps").read_bytes())
        assert [(told.start_address, told.end_address) for told in one.mappings or ()] == [
            (true.start_address, true.end_address) for true in kernel
        ]
        assert [it.reason for it in one.obstacles] == ["no_totals"] * ("q" in option)
        if option in ("-x", "-X", "-XX"):
            assert one.account.rss_bytes == sum(true.account.rss_bytes or 0 for true in kernel)


def test_a_process_that_pmap_could_not_read_is_unknown_and_not_empty():
    raw = (CAPTURES / "bash/pmap-procps-4.0.7-x").read_bytes()
    denied = b"7:   /sbin/secret\n8:   [kthreadd]\nAddress           Kbytes     RSS   Dirty Mode  Mapping\n"
    totals = b"---------------- ------- ------- ------- \ntotal kB               0       0       0\n"
    processes = parse_text(denied + totals + raw, "FILE").processes
    assert [one.pid for one in processes][:2] == [7, 8]
    assert [one.account.rss_bytes for one in processes][:2] == [None, None]
    assert processes[2].account.rss_bytes
    with pytest.raises(Malformed, match="no mapping is listed"):
        parse_text(denied, "FILE")


def test_a_title_over_several_lines_and_with_a_secret():
    raw = (CAPTURES / "bash/pmap-busybox-1.37.0plain").read_bytes()
    pid, _, rest = raw.partition(b": ")
    rows = rest.split(b"\n", 1)[1]
    text = pid + b": python3 -c import x\n\nx.run() --password hunter2\n" + rows
    (process,) = parse_text(text, "FILE").processes
    assert process.title == "python3 -c import x x.run() --password [redacted]"
    assert process.account == tell(CAPTURES / "bash/pmap-busybox-1.37.0plain").account


def test_lines_of_another_system():
    raw = (CAPTURES / "bash/pmap-procps-4.0.7-X").read_bytes()
    (process,) = parse_text(b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n"), "FILE").processes
    assert process.account == tell(CAPTURES / "bash/pmap-procps-4.0.7-X").account


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (b"5:   x\n     00400000 r--p 00000000  fe:00  260811    124   124 python\n", "line 2: pmap -Xq"),
        (b"5:   x\n0000000000400000    124K r---- a\n0000000000300000    124K r---- b\n", "line 3: a mapping below"),
        (b"5:   x\n0000000000400000    124K r---- a\nhello\nworld\n", "line 3: no line of pmap"),
        (b"5:   x\n0000000000400000    4K r---- a\n total   4K\n0000000000500000    4K r---- a\n", "line 4: after"),
        (b"5:   x\n         Address Perm Mapping\n", "line 2: not the columns"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text, cause):
    with pytest.raises(Malformed, match=f"FILE, {cause}"):
        parse_text(text, "FILE")


SAMPLES = [path.read_bytes() for path in FILES if path.parent.name == "bash"]


@given(raw=st.binary(max_size=400))
def test_any_bytes_are_understood_or_refused(raw):
    found = outcome(raw)
    assert not isinstance(found, str) or found.startswith("FILE")


@given(raw=st.binary(max_size=200))
def test_any_bytes_as_pmaps_lines_are_understood_or_refused(raw):
    found = outcome(b"5:   x\n0000000000400000    124K r---- a\n" + raw)
    assert not isinstance(found, str) or found.startswith("FILE, line ")


@given(
    raw=st.sampled_from(SAMPLES),
    at=st.integers(min_value=0, max_value=12000),
    length=st.integers(min_value=0, max_value=300),
    put=st.binary(max_size=40),
)
def test_a_damaged_file_is_understood_or_refused(raw, at, length, put):
    found = outcome(raw[:at] + put + raw[at + length :])
    assert not isinstance(found, str) or found.startswith("FILE")


def test_what_changed_between_the_two_looks_of_procps_is_no_cut():
    raw = (CAPTURES / "bash/pmap-procps-4.0.7-X").read_bytes()
    (process,) = parse_text(re.sub(rb"( 5240 4196) 805", rb"\1 806", raw), "FILE").processes
    assert process.obstacles == ()
    assert process.account == tell(CAPTURES / "bash/pmap-procps-4.0.7-X").account
    (process,) = parse_text(raw.replace(b" 5240 4196", b" 5244 4196"), "FILE").processes
    assert [it.reason for it in process.obstacles] == ["file_cut"]
