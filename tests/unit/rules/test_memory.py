"""Each finding about memory: when it is made, and when not."""

from __future__ import annotations

import re

import pytest

from airmem.analysis.totals import sum_tree
from airmem.rules.memory import (
    COPIED_BYTES,
    STALL_BYTES,
    check_copied,
    check_limit,
    check_memory,
    check_oom_kills,
    check_overcount,
    check_stall,
)
from tests.synthetic import make_account, make_cgroup, make_row

MIB = 1 << 20


def tree(*accounts, missed=False):
    rows = tuple(make_row(number + 1, account=account) for number, account in enumerate(accounts))
    return sum_tree(rows, None, None, None, missed=missed)


def codes(findings):
    return [finding.code for finding in findings]


SHARING = make_account(100 * MIB, 40 * MIB, 5 * MIB)


def test_am101_summed_rss_overstates():
    [finding] = check_overcount(tree(SHARING, SHARING))
    assert (finding.code, finding.severity, finding.pid) == ("AM101", "note", None)
    assert "2.5x" in finding.summary


@pytest.mark.parametrize(
    "totals",
    [
        tree(make_account(100, 90, 80), make_account(100, 90, 80)),
        tree(SHARING),
        tree(SHARING, SHARING, make_account(100 * MIB)),
        tree(SHARING, SHARING, missed=True),
        tree(make_account(0, 0, 0), make_account(0, 0, 0)),
    ],
    ids=["little is shared", "one process", "one was not read", "one was not seen", "nothing"],
)
def test_no_am101(totals):
    assert check_overcount(totals) == []


def test_am102_near_the_limit():
    [finding] = check_limit(make_cgroup(limit_bytes=1000 * MIB, working_set_bytes=900 * MIB))
    assert (finding.code, finding.severity) == ("AM102", "warning")
    assert "90%" in finding.summary
    assert "/app" in finding.evidence


@pytest.mark.parametrize(
    "cgroup",
    [
        None,
        make_cgroup(limit_bytes=1000 * MIB, working_set_bytes=899 * MIB),
        make_cgroup(limit_bytes=None, working_set_bytes=900 * MIB),
        make_cgroup(limit_bytes=0, working_set_bytes=900 * MIB),
        make_cgroup(limit_bytes=1000 * MIB, working_set_bytes=None, usage_bytes=999 * MIB),
    ],
)
def test_no_am102(cgroup):
    assert check_limit(cgroup) == []


def test_am103_oom_kills():
    [finding] = check_oom_kills(make_cgroup(oom_kill_count=3))
    assert (finding.code, finding.severity) == ("AM103", "warning")
    assert "3" in finding.summary


@pytest.mark.parametrize("cgroup", [None, make_cgroup(), make_cgroup(oom_kill_count=0)])
def test_no_am103(cgroup):
    assert check_oom_kills(cgroup) == []


COPIED = make_account(2 * COPIED_BYTES, COPIED_BYTES, COPIED_BYTES)


def test_am104_workers_have_copied_or_allocated():
    [finding] = check_copied((make_row(1, role="parent"), make_row(2, account=COPIED)))
    assert (finding.code, finding.severity) == ("AM104", "warning")
    assert "50%" in finding.summary


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (make_row(1, account=COPIED),),
        (make_row(1), make_row(2, account=make_account(2 * COPIED_BYTES, COPIED_BYTES, COPIED_BYTES - 4096))),
        (make_row(1), make_row(2, account=make_account(3 * COPIED_BYTES, COPIED_BYTES, COPIED_BYTES))),
        (make_row(1), make_row(2, account=COPIED, process={"flags": 0})),
        (make_row(1), make_row(2, account=make_account(2 * COPIED_BYTES))),
    ],
    ids=["nobody", "only a parent", "too little", "too small a part", "not forked", "unread"],
)
def test_no_am104(rows):
    assert check_copied(rows) == []


def test_am105_a_look_holds_up_a_large_process():
    [finding] = check_stall((make_row(7, account=make_account(STALL_BYTES + 1)),))
    assert (finding.code, finding.severity, finding.pid) == ("AM105", "warning", 7)


@pytest.mark.parametrize(
    "row",
    [
        make_row(1, account=make_account(STALL_BYTES)),
        make_row(1, account=make_account(STALL_BYTES + 1), depth="status"),
        make_row(1, account=make_account(), depth="none"),
    ],
)
def test_no_am105(row):
    assert check_stall((row,)) == []


def test_the_gravest_comes_first_and_all_are_sentences():
    rows = (make_row(1), make_row(2, account=COPIED), make_row(3, account=make_account(STALL_BYTES + 1, 1, 1)))
    cgroup = make_cgroup(limit_bytes=100, working_set_bytes=99, oom_kill_count=1)
    findings = check_memory(rows, sum_tree(rows, None, cgroup, None, missed=False), cgroup)
    assert {*codes(findings)} == {"AM101", "AM102", "AM103", "AM105"}
    order = ["critical", "warning", "note"]
    assert [one.severity for one in findings] == sorted((one.severity for one in findings), key=order.index)
    for one in findings:
        assert re.fullmatch(r"AM\d{3}", one.code)
        assert not one.remedy.endswith(".")
        assert not one.summary.endswith(".")
