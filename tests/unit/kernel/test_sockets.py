"""Sockets of a network namespace: lines and messages of a real kernel (6.18), whose connections are known."""

from __future__ import annotations

import ipaddress
import sys

from hypothesis import given
from hypothesis import strategies as st

from airmem.kernel.sockets import parse_inet, parse_messages, parse_unix
from airmem.kernel.unix_diag import is_unix_diag_end, parse_unix_diag, unix_diag_request

TCP = b"""  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:80CB 00000000:0000 0A 00000000:00000001 00:00000000 00000000     0        0 1047030 2 0000 100 0 0 10 0
   3: 0100007F:D354 0100007F:D23D 01 00000000:00000000 00:00000000 00000000     0        0 1047036 2 0000 20 0 0 10 -1
   6: 0100007F:B47C 0100007F:80CB 01 00000000:0000000A 02:000AFC61 00000000     0        0 1047031 3 0000 20 4 30 10 -1
   9: 0100007F:B47C 0100007F:80CC 06 00000000:00000000 03:00001700 00000000     0        0 0 3 0000
  10: 020200C0:B47C 010200C0:0051 02 00000001:00000000 01:00000064 00000003     0        0 1047042 3 0000 20 4 30 10 -1
"""
TCP6 = b"""  sl  local_address                         remote_address                        st tx_queue rx_queue tr
   1: 00000000000000000000000001000000:D007 00000000000000000000000000000000:0000 0A 00000000:00000001 00:00000000 00000000 0 0 1047033 2 0
   3: 0000000000000000FFFF00000100007F:D23D 0000000000000000FFFF00000100007F:D354 01 00000000:00000000 00:00000000 00000000 0 0 1047037 1 0
   5: B80D0120000000000000000001000000:CC22 B80D0120000000000000FF0001000000:D007 01 00000000:00000000 00:00000000 00000000 0 0 1047034 2 0
"""
UNIX = b"""Num       RefCount Protocol Flags    Type St Inode Path
00000000ce87bf27: 00000002 00000000 00010000 0001 01 1047038 /run/a sock
00000000a32071fb: 00000003 00000000 00000000 0001 03 1047039
"""
DIAG = bytes.fromhex(
    "3c0000001400020001000000bc2d0000010101002e0400000200000000000000080002002d040000"
    "0c00040000000000000000000500060000000000"
)  # fmt: skip
DONE = bytes.fromhex("140000000300020001000000bc2d000000000000")
NETLINK = b"""sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
000000003d5176ea 0   0          00000000 0        0        0     2        0        4
000000000491fa45 4   0          00000000 0        0        0     2        0        473
"""


def test_a_listener_has_no_remote_and_counts_connections_that_wait():
    found = parse_inet(TCP, "tcp")[1047030]
    assert (found.state, found.local, found.remote, found.remote_port_id) == ("LISTEN", "127.0.0.1:32971", "", None)
    assert found.rx_queue_bytes == 1


def test_a_connection_has_both_ends_its_queue_and_its_timer():
    found = parse_inet(TCP, "tcp")[1047031]
    assert (found.local, found.remote, found.state) == ("127.0.0.1:46204", "127.0.0.1:32971", "ESTAB")
    assert (found.local_port_id, found.remote_port_id) == (46204, 32971)
    assert (found.rx_queue_bytes, found.tx_queue_bytes, found.timer) == (10, 0, "keepalive")
    assert found.timer_seconds == 0x000AFC61 / 100


def test_a_connection_that_is_not_answered_sends_again():
    found = parse_inet(TCP, "tcp")[1047042]
    assert (found.state, found.remote, found.timer) == ("SYN-SENT", "192.0.2.1:81", "retransmit")
    assert (found.retransmit_count, found.tx_queue_bytes, found.timer_seconds) == (3, 1, 1.0)


def test_a_socket_that_nobody_has_is_left_out():
    assert 0 not in parse_inet(TCP, "tcp")
    assert parse_inet(TCP, "tcp")[1047036].timer_seconds is None


def test_version_6_addresses_are_short_and_mapped_ones_are_version_4():
    found = parse_inet(TCP6, "tcp6")
    assert found[1047033].local == "[::1]:53255"
    assert (found[1047037].local, found[1047037].remote) == ("127.0.0.1:53821", "127.0.0.1:54100")
    assert (found[1047034].local, found[1047034].remote) == ("[2001:db8::1]:52258", "[2001:db8::ff:0:0:1]:53255")


@given(st.lists(st.sampled_from([0, 1, 0xFF00]), min_size=8, max_size=8))
def test_version_6_addresses_are_those_of_the_standard_library(groups):
    packed = b"".join(group.to_bytes(2, "big") for group in groups)
    digits = "".join(f"{int.from_bytes(packed[at : at + 4], sys.byteorder):08X}" for at in range(0, 16, 4)).encode()
    line = b"1: %s:0001 %s:0001 01 0:0 0:0 0 0 0 7 1 0" % (digits, digits)
    expected = ipaddress.IPv6Address(packed)
    text = str(expected.ipv4_mapped) if expected.ipv4_mapped else f"[{expected.compressed}]"
    assert parse_inet(b"\n" + line, "tcp6")[7].local == f"{text}:1"


def test_unix_sockets_have_paths():
    found = parse_unix(UNIX)
    assert (found[1047038].local, found[1047038].state) == ("/run/a sock", "LISTEN")
    assert (found[1047039].local, found[1047039].state, found[1047039].peer_inode) == ("", "ESTAB", None)


def test_netlink_sockets_wait_for_the_kernel():
    found = parse_messages(NETLINK, "netlink")
    assert list(found) == [4, 473]
    assert (found[473].family, found[473].state, found[473].remote) == ("netlink", "UNCONN", "")
    assert parse_messages(b"sk RefCnt Type Proto  Iface R Rmem   User   Inode\n\nx\n", "packet") == {}


def test_the_kernel_tells_the_peer_of_a_unix_socket():
    found = parse_unix_diag(DIAG + DONE)
    assert found[0x42E].peer_inode == 0x42D
    assert is_unix_diag_end(DIAG + DONE)
    assert not is_unix_diag_end(DIAG)
    assert len(unix_diag_request()) == 40


def test_an_answer_that_is_cut_gives_what_is_whole():
    assert parse_unix_diag(DIAG + DIAG[:30]).keys() == {0x42E}
    assert parse_unix_diag(DIAG[:-1]) == {}


@given(st.binary())
def test_any_bytes_are_taken(raw):
    parse_inet(raw, "tcp")
    parse_inet(TCP + raw, "tcp6")
    parse_unix(raw)
    parse_messages(raw, "packet")
    parse_unix_diag(raw)
    parse_unix_diag(DIAG[:36] + raw)
    is_unix_diag_end(raw)
