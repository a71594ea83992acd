"""A saved smaps, a smemcap tar, a copy of /proc: answered as the kernel's files are, and refused with a reason."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airmem.capture.archive import read_archive
from airmem.capture.foreign.recognize import open_any, parse_text, read_any
from airmem.codec.document import encode_report
from airmem.errors import AirmemError, Malformed, ProcessGone, UsageProblem
from airmem.kernel.smaps import parse_smaps, parse_smaps_rollup, sum_mappings
from airmem.questions.ps import answer_ps
from airmem.questions.pss import answer_pss
from airmem.questions.targets import resolve_target
from airmem.render import as_csv
from airmem.views.pss import view_table

CAPTURES = Path(__file__).parents[2] / "captures"
COPY = CAPTURES / "other-tools/copy"
SMEMCAP = CAPTURES / "other-tools/smemcap.tar.gz"
PLACES = ("bash", "weird-python", "swapped-pair/parent", "swapped-pair/child", "forked-tree/alloc")
ACCOUNT = ("rss_bytes", "pss_bytes", "private_clean_bytes", "private_dirty_bytes", "shared_clean_bytes",
           "shared_dirty_bytes", "swap_bytes", "swap_pss_bytes", "hugetlb_bytes")  # fmt: skip


def ask(path: Any, target: str | None = None, **more: Any) -> Any:
    source = open_any(str(path)) if isinstance(path, Path) else read_any(io.BytesIO(path), "FILE", 0.0)
    return encode_report(answer_pss(resolve_target(target, source), source=source, **more))


def gaps(answer: Any) -> set[tuple[str, str]]:
    return {(gap["fact"], gap["reason"]) for gap in answer["gaps"]}


@pytest.mark.parametrize("place", PLACES)
def test_a_saved_smaps_is_the_sum_of_its_mappings(place):
    raw = (CAPTURES / place / "smaps").read_bytes()
    (row,) = (answer := ask(raw, with_mappings=True))["processes"]
    account = sum_mappings(parse_smaps(raw))
    assert {fact: row[fact] for fact in ACCOUNT} == {fact: getattr(account, fact) for fact in ACCOUNT}
    assert [row[key] for key in ("pid", "parent_pid", "start_ticks", "title")] == [None] * 4
    assert answer["tree"]["root_pid"] is None
    assert ("pss_anon_bytes", "not_in_format") in gaps(answer)
    assert [(one["rss_bytes"], one["pss_bytes"]) for one in answer["mappings"]] == [
        (one.account.rss_bytes, one.account.pss_bytes) for one in parse_smaps(raw)
    ]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_a_saved_rollup_is_the_kernels_account(place, pack):
    raw = (CAPTURES / place / "smaps_rollup").read_bytes()
    (row,) = (answer := ask(pack(raw)))["processes"]
    account = parse_smaps_rollup(raw)
    assert {fact: row[fact] for fact in account.__slots__} == {f: getattr(account, f) for f in account.__slots__}
    assert gaps(answer) == {("sharing", "not_in_format")}
    assert ("mappings", "not_in_format") in gaps(ask(raw, with_mappings=True))


def test_a_smaps_of_gvisor_tells_no_pss():
    (row,) = (answer := ask(CAPTURES / "gvisor-pair/child/smaps"))["processes"]
    assert row["rss_bytes"] > 0
    assert (row["pss_bytes"], row["uss_bytes"]) == (None, None)
    assert ("pss_bytes", "gvisor") in gaps(answer)


@pytest.mark.parametrize("length", [900, 3000, 5001, 7777, 20011])
def test_a_smaps_that_was_cut_is_told_and_not_summed(length):
    raw = (CAPTURES / "bash/smaps").read_bytes()[:length]
    lines = raw.count(b"\n") + 1
    (row,) = (answer := ask(raw))["processes"]
    assert row["rss_bytes"] is None
    assert answer["tree"]["is_lower_bound"]
    (gap,) = [gap for gap in answer["gaps"] if gap["reason"] == "file_cut"]
    assert gap["detail"].startswith(f"FILE, line {lines}: ")


def test_a_smaps_that_ends_between_two_mappings_says_that_it_may_be_cut():
    raw = (CAPTURES / "bash/smaps").read_bytes()
    answer = ask(raw[: raw.index(b"\n", raw.index(b"VmFlags", 9000)) + 1])
    assert ("totals", "no_totals") in gaps(answer)


def test_several_smaps_in_one_file_are_refused():
    raw = (CAPTURES / "bash/smaps").read_bytes()
    with pytest.raises(Malformed, match=f"FILE, line {raw.count(10) + 1}: .*several processes"):
        parse_text(raw + raw, "FILE")


def test_maps_is_named_as_what_it_is():
    with pytest.raises(Malformed, match="that is maps"):
        parse_text((CAPTURES / "bash/maps").read_bytes(), "FILE")


@pytest.mark.parametrize("path", [COPY, COPY / "proc"], ids=["above", "itself"])
def test_a_copy_of_proc_is_the_tree(path):
    answer = ask(path)
    assert [row["pid"] for row in answer["processes"]] == [6, 8, 9]
    assert [row["role"] for row in answer["processes"]] == ["parent", "worker", "worker"]
    for row in answer["processes"]:
        account = parse_smaps_rollup((COPY / f"proc/{row['pid']}/smaps_rollup").read_bytes())
        assert {fact: row[fact] for fact in account.__slots__} == {f: getattr(account, f) for f in account.__slots__}
    assert ("cgroup", "not_captured") in gaps(answer)
    assert answer["host"]["hostname"] == ("demo" if path == COPY else answer["host"]["hostname"])


def test_the_mappings_of_a_copy_line_up():
    answer = ask(COPY, with_mappings=True)
    heap = max(answer["mappings"], key=lambda one: one["size_bytes"])
    assert [worker["pid"] for worker in heap["workers"]] == [8, 9]


def test_ps_of_a_copy():
    source = open_any(str(COPY))
    rows = encode_report(answer_ps(6, source=source))["services"]
    assert [(row["pid"], row["depth"], row["start_method"]) for row in rows] == [
        (6, 0, "exec"),
        (8, 1, "fork"),
        (9, 1, "fork"),
    ]
    assert all(0 < row["up_seconds"] < 60 for row in rows)


def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(COPY, tmp_path / "copy"))


def test_an_empty_file_of_a_copy_is_not_a_process_without_memory(tmp_path):
    folder = copied(tmp_path)
    for name in ("smaps", "smaps_rollup"):
        (folder / "proc/9" / name).write_bytes(b"")
    answer = ask(folder)
    row = answer["processes"][2]
    assert (row["depth"], row["pss_bytes"]) == ("status", None)
    assert row["rss_bytes"] > 0
    assert ("pss_bytes", "not_captured") in gaps(answer)
    assert answer["tree"]["is_lower_bound"]
    (folder / "proc/9/status").unlink()
    row = ask(folder)["processes"][2]
    assert (row["depth"], row["rss_bytes"]) == ("none", None)


def test_a_copy_without_rollup_is_summed_from_smaps(tmp_path):
    folder = copied(tmp_path)
    (folder / "proc/8/smaps_rollup").write_bytes(b"")
    answer = ask(folder)
    assert (
        answer["processes"][1]["rss_bytes"] == parse_smaps_rollup((COPY / "proc/8/smaps_rollup").read_bytes()).rss_bytes
    )
    assert ("pss_anon_bytes", "no_smaps_rollup") in gaps(answer)


def test_a_folder_of_nothing_but_smaps(tmp_path):
    for pid in (6, 8):
        (tmp_path / str(pid)).mkdir()
        shutil.copy(COPY / f"proc/{pid}/smaps", tmp_path / str(pid))
    answer = ask(tmp_path)
    assert [(row["pid"], row["role"]) for row in answer["processes"]] == [(6, "process"), (8, "process")]
    assert len(ask(tmp_path, "8")["processes"]) == 1
    with pytest.raises(ProcessGone, match="does not tell of process 9"):
        ask(tmp_path, "9")


def test_no_link_leads_out_of_a_copy(tmp_path):
    folder = copied(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("root:hunter2\n")
    for name in ("smaps", "smaps_rollup", "cmdline"):
        (folder / "proc/9" / name).unlink()
        (folder / "proc/9" / name).symlink_to(secret)
    os.mkfifo(folder / "proc/8/pipe")
    (folder / "proc/8/smaps_rollup").unlink()
    os.mkfifo(folder / "proc/8/smaps_rollup")
    answer = ask(folder)
    assert "hunter2" not in str(answer)
    assert ("pss_bytes", "not_captured") in gaps(answer) or ("process", "unreadable") in gaps(answer)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_a_smemcap_tar_is_the_tree(pack):
    answer = ask(pack(gzip.decompress(SMEMCAP.read_bytes())), "6")
    assert [row["pid"] for row in answer["processes"]] == [6, 8, 9]
    with tarfile.open(SMEMCAP) as tar:
        for row in answer["processes"]:
            file = tar.extractfile(f"{row['pid']}/smaps")
            assert file is not None
            account = sum_mappings(parse_smaps(file.read()))
            assert {fact: row[fact] for fact in ACCOUNT} == {fact: getattr(account, fact) for fact in ACCOUNT}
    whole = ask(SMEMCAP)
    assert whole["tree"]["root_pid"] == 1
    assert whole["tree"]["process_count"] == 5


def test_ps_of_what_tells_only_memory_is_refused():
    source = open_any(str(CAPTURES / "bash/smaps"))
    with pytest.raises(UsageProblem, match="not of services"):
        answer_ps(source=source)


def make_tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


STAT = b"7 (x) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 1000 10 0"


@pytest.mark.parametrize(
    "hostile",
    [
        member("7/smaps", tarfile.SYMTYPE, "/etc/shadow"),
        member("7/smaps", tarfile.LNKTYPE, "/etc/shadow"),
        member("7/smaps", tarfile.CHRTYPE),
        member("7/smaps", tarfile.FIFOTYPE),
        member("../7/smaps"),
        member("/7/smaps"),
        member("7/../../smaps"),
        member("7/stat"),
    ],
    ids=lambda one: f"{one.name} {one.type!r}",
)
def test_a_hostile_tar_is_refused(hostile):
    raw = make_tar((member("7/stat"), STAT), (hostile, b""))
    with pytest.raises(Malformed, match="FILE: "):
        ask(raw)


def test_a_bomb_is_refused():
    text = gzip.compress(bytes(300 << 20), 9)
    with pytest.raises(Malformed, match="more than 256 MiB"):
        ask(text)
    head = member("7/smaps")
    head.size = 600 << 20
    with pytest.raises(Malformed, match="more than 512 MiB"):
        ask(make_tar((member("7/stat"), STAT)).rstrip(b"\0").ljust(1024, b"\0") + head.tobuf(tarfile.USTAR_FORMAT))


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"hello\n", b"PK\x03\x04", b"\x1f\x8b\x08", b"{}", bytes(2000)])
def test_what_is_nothing_of_it_is_refused_with_a_list_of_what_is(raw):
    with pytest.raises(Malformed, match="FILE") as problem:
        ask(raw)
    assert "--from accepts" in problem.value.remedy or "capture" in problem.value.remedy


def test_a_folder_without_processes_is_refused(tmp_path):
    with pytest.raises(Malformed, match="without process folders"):
        ask(tmp_path)
    with pytest.raises(UsageProblem, match="cannot read"):
        ask(tmp_path / "absent")


def outcome(raw: bytes) -> None:
    """Answer, or refuse with a cause; nothing else may come out."""
    try:
        answer = ask(raw)
    except AirmemError as problem:
        if not problem.cause:
            raise
        return
    assert answer["processes"]


@given(raw=st.binary(max_size=1500))
def test_any_bytes_are_answered_or_refused(raw):
    outcome(raw)
    outcome(gzip.compress(raw))


@given(content=st.binary(max_size=300), name=st.sampled_from(["stat", "smaps", "cmdline", "status", "smaps_rollup"]))
def test_any_bytes_in_a_smemcap_tar_are_answered_or_refused(content, name):
    files = {"stat": STAT, "smaps": (CAPTURES / "swapped-pair/child/smaps").read_bytes()[:4000], name: content}
    outcome(make_tar(*((member(f"7/{one}"), raw) for one, raw in files.items())))


PLAIN = gzip.decompress(SMEMCAP.read_bytes())


@settings(max_examples=50, deadline=None)
@given(at=st.integers(min_value=0, max_value=len(PLAIN)), put=st.binary(max_size=20))
def test_a_damaged_tar_is_answered_or_refused(at, put):
    outcome(PLAIN[:at] + put + PLAIN[at + len(put) :])


@given(
    at=st.integers(min_value=0, max_value=25000),
    length=st.integers(min_value=0, max_value=200),
    put=st.binary(max_size=40),
)
def test_a_damaged_smaps_is_answered_or_refused(at, length, put):
    raw = (CAPTURES / "bash/smaps").read_bytes()
    outcome(raw[:at] + put + raw[at + length :])
    rollup = (CAPTURES / "bash/smaps_rollup").read_bytes()
    outcome(rollup[: at % 900] + put + rollup[at % 900 + length :])


def test_the_oldest_form_of_tar_is_read():
    assert set(read_archive(io.BytesIO(PLAIN), "FILE")) >= {"meminfo", "version", "6/smaps", "6/stat", "6/cmdline"}


def test_what_is_not_told_is_empty_in_csv():
    source = open_any(str(CAPTURES / "other-tools/pmap-procps-4.0.2-x"))
    lines = as_csv.render(view_table(answer_pss(resolve_target(None, source), source=source))).splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [["6", "", ""], ["8", "", ""], ["9", "", ""]]
