"""/proc/PID/status: the last resort for memory, and who a process is."""

from __future__ import annotations

from airmem.codec.document import fields_of
from airmem.kernel.status import parse_credentials, parse_status, parse_status_account
from tests.captures import PROCESSES, read_capture


def test_rss_and_swap_become_bytes():
    account = parse_status_account(parse_status(read_capture("swapped-pair/child", "status")))
    assert account.swap_bytes == 40960 * 1024
    assert account.rss_bytes is not None
    assert (account.pss_bytes, account.uss_bytes) == (None, None)


def test_rss_lags_but_is_near_the_kernels_sum():
    for process in PROCESSES:
        rss_bytes = parse_status_account(parse_status(read_capture(process, "status"))).rss_bytes
        rollup = read_capture(process, "smaps_rollup").split(b"\n")[1]
        assert rss_bytes is not None
        assert abs(rss_bytes - int(rollup.split()[1]) * 1024) < 1 << 20, process


def test_what_is_not_there_is_unknown_not_zero():
    for raw in (b"Name:\tx\n", b"VmRSS:\nVmSwap:\tx kB\n"):
        assert set(fields_of(parse_status_account(parse_status(raw))).values()) == {None}


def test_keys_are_matched_whole():
    account = parse_status_account(parse_status(b"VmRSSFoo:\t9 kB\nxVmRSS:\t9 kB\nVmRSS:\t7 kB\n"))
    assert account.rss_bytes == 7 * 1024


def test_the_name_cannot_forge_a_field():
    # The kernel writes a newline in a name as \n (seq_file); a colon stays.
    fields = parse_status(b"Name:\tUid:\t1\\nUid:\t5\nUid:\t1000\t1001\t1002\t1003\n")
    assert parse_credentials(fields, 0).user_ids == (1000, 1001, 1002, 1003)


def test_credentials():
    raw = (
        b"Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNSpid:\t900\t12\nSeccomp:\t2\n"
        b"CapPrm:\t00000000a80425fb\nCapEff:\t0000000000080000\n"
    )
    own = parse_credentials(parse_status(raw), 77)
    assert (own.user_ids, own.group_ids, own.namespace_pids) == ((1, 2, 3, 4), (5, 6, 7, 8), (900, 12))
    assert (own.permitted_capabilities, own.seccomp_mode, own.owner_uid) == (0xA80425FB, 2, 77)
    assert own.may(19)
    assert not own.may(21)


def test_gvisor_has_fewer_fields():
    own = parse_credentials(parse_status(read_capture("gvisor-pair/parent", "status")), 0)
    assert own.user_ids == (0, 0, 0, 0)
    assert own.namespace_pids == ()


def test_fields_without_a_number_are_empty():
    own = parse_credentials(parse_status(b"Uid:\tx\nCapPrm:\tzz\nCapEff:\nSeccomp:\n"), 0)
    assert (own.user_ids, own.permitted_capabilities, own.effective_capabilities, own.seccomp_mode) == ((), 0, 0, 0)
