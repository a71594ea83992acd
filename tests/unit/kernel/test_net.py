"""net/tcp and links of sockets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airmem.kernel.net import parse_listeners, parse_socket_link

HEADER = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LINE = b"   0: 0100007F:C58D 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 17564 1 0 100\n"


def test_only_listening_sockets_count():
    assert parse_listeners(HEADER + LINE % b"0A") == {17564: 0xC58D}
    assert parse_listeners(HEADER + LINE % b"01") == {}


def test_addresses_of_version_6():
    line = (LINE % b"0A").replace(b"0100007F", b"00000000000000000000000001000000")
    assert parse_listeners(HEADER + line) == {17564: 0xC58D}


def test_links_of_sockets():
    assert parse_socket_link("socket:[17564]") == 17564
    others = ("pipe:[1]", "socket:[x]", "17564", "socket:[]", "/dev/null")
    assert [parse_socket_link(link) for link in others] == [None] * 5


@given(st.binary())
def test_any_bytes_are_taken(raw):
    parse_listeners(raw)


@given(st.text())
def test_any_link_is_taken(link):
    parse_socket_link(link)
