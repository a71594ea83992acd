"""Where a process runs, what its kernel and its Python are: told from raw bytes."""

from __future__ import annotations

import gzip
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airmem.kernel.config import parse_config, parse_page_mapcount
from airmem.kernel.container import parse_place, parse_unit
from airmem.kernel.privileges import parse_identity, parse_is_mapped
from airmem.kernel.python import parse_python_version
from airmem.kernel.status import parse_status

ID = "0123456789abcdef" * 4
ROOT = "22 27 0:21 / /proc rw - proc proc rw\n27 1 254:0 / / rw - ext4 /dev/vda rw\n"


def mounted(root: str, point: str) -> bytes:
    return f"{ROOT}90 27 254:0 {root} {point} rw,relatime - ext4 /dev/vda rw\n".encode()


PLACES = [
    ("host", b"0::/user.slice/user-1000.slice/session-3.scope\n", ROOT.encode()),
    ("host", b"0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service\n", ROOT.encode()),
    ("systemd", b"0::/system.slice/airmem-exporter.service\n", ROOT.encode()),
    ("docker", f"0::/docker/{ID}\n".encode(), ROOT.encode()),
    ("docker", f"0::/system.slice/docker-{ID}.scope\n".encode(), ROOT.encode()),
    ("docker", b"0::/\n", mounted(f"/var/lib/docker/containers/{ID}/hostname", "/etc/hostname")),
    ("docker", b"0::/\n", mounted(f"/home/u/.local/share/docker/containers/{ID}/hosts", "/etc/hosts")),
    ("podman", f"0::/machine.slice/libpod-{ID}.scope\n".encode(), ROOT.encode()),
    ("podman", b"0::/\n", mounted(f"/run/containers/storage/overlay-containers/{ID}/userdata/hosts", "/etc/hosts")),
    ("kubernetes", f"0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-{ID}.scope\n".encode(), b""),
    ("kubernetes", b"0::/\n", mounted("/var/lib/kubelet/pods/6f0c/etc-hosts", "/etc/hosts")),
    ("kubernetes", b"0::/\n", mounted("/x", "/dev/termination-log")),
    ("container", b"0::/lxc.payload.web/system.slice\n", ROOT.encode()),
    ("container", f"0::/default/{ID}\n".encode(), ROOT.encode()),
    ("host", b"", b""),
]


@pytest.mark.parametrize(("kind", "cgroup", "mountinfo"), PLACES)
def test_a_place_is_told_by_its_groups_and_mounts(kind, cgroup, mountinfo):
    assert parse_place(cgroup, mountinfo) == kind


def test_a_host_that_runs_docker_is_no_container():
    overlay = f"{ROOT}99 27 0:50 / /var/lib/docker/overlay2/{ID}/merged rw - overlay overlay rw\n".encode()
    assert parse_place(b"0::/user.slice/user-0.slice/session-1.scope\n", overlay) == "host"


def test_a_unit_is_told_by_its_name():
    assert parse_unit(b"1:name=systemd:/system.slice/a.service\n0::/system.slice/a.service\n") == "a.service"
    assert parse_unit(b"0::/\n") == ""


@given(st.binary(), st.binary())
def test_no_bytes_break_the_parsers(first, second):
    assert parse_place(first, second) in {kind for kind, _, _ in PLACES}
    parse_unit(first)
    parse_is_mapped(first, 0)
    parse_python_version(first, second)


@given(st.binary())
def test_any_configuration_is_read_or_refused(raw):
    assert parse_page_mapcount(parse_config(b"#" + raw)) in ("exact", "averaged", "unknown")
    with suppress(ValueError):
        parse_config(b"\x1f\x8b" + raw)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_configuration_tells_how_pages_are_counted(pack):
    text = b'# comment\nCONFIG_A=y\n# CONFIG_NO_PAGE_MAPCOUNT is not set\nCONFIG_B="x"\n'
    chosen = parse_config(pack(text))
    assert chosen == {"CONFIG_A": "y", "CONFIG_NO_PAGE_MAPCOUNT": "n", "CONFIG_B": "x"}
    assert parse_page_mapcount(chosen) == "exact"
    assert parse_page_mapcount(parse_config(pack(b"CONFIG_NO_PAGE_MAPCOUNT=y\n"))) == "averaged"
    assert parse_page_mapcount({}) == "unknown"


@pytest.mark.parametrize(
    ("maps", "exe", "expected"),
    [
        (b"7f r-xp 0 fd:0 1 /usr/lib/x86_64-linux-gnu/libpython3.12.so.1.0\n", b"/opt/app", ("3.12", "library")),
        (b"", b"/usr/bin/python3.9", ("3.9", "program")),
        (b"", b"/usr/bin/python3.13t (deleted)", ("3.13", "program")),
        (b"55 r-xp 0 fd:0 1 /usr/bin/python3.11\n7f r 0 0 2 /lib/libc.so.6\n", b"", ("3.11", "program")),
        (b"7f r 0 0 2 /x/lib/python3.14/lib-dynload/_json.cpython-314-x.so\n", b"/x/python", ("3.14", "modules")),
        (b"7f r 0 0 2 /x/_json.cpython-310-x86_64-linux-gnu.so\n", b"/x/python", ("3.10", "modules")),
        (b"7f r 0 0 2 /usr/bin/bash\n", b"/usr/bin/bash", ("", "")),
        (b"7f r 0 0 2 /usr/share/python3.11-notes\n", b"/usr/bin/vi", ("", "")),
    ],
)  # fmt: skip
def test_a_python_is_told_by_what_is_mapped(maps, exe, expected):
    assert parse_python_version(maps, exe) == expected


def test_an_identity_has_all_sets_of_capabilities():
    raw = (b"Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapInh:\t0\nCapPrm:\t80000\nCapEff:\t200000\nCapBnd:\ta80425fb\n"
           b"CapAmb:\t2\nNoNewPrivs:\t1\nSeccomp:\t2\nNSpid:\t70\t1\n")  # fmt: skip
    own = parse_identity(parse_status(raw), 9)
    assert (own.user_id, own.group_ids, own.owner_uid) == (2, (5, 6, 7, 8), 9)
    assert (own.may(21), own.may(19)) == (True, False)
    assert (own.permitted_capabilities, own.ambient_capabilities) == (1 << 19, 2)
    assert (own.bounding_capabilities, own.no_new_privileges, own.seccomp_mode) == (0xA80425FB, True, 2)
    assert own.namespace_pids == (70, 1)
    assert own.is_dumpable is False
    with pytest.raises(ValueError, match="no user"):
        parse_identity({}, 0)


def test_which_users_a_namespace_knows():
    rootless = b"         0       1000          1\n         1     100000      65536\n"
    assert [parse_is_mapped(rootless, uid) for uid in (0, 1, 65534, 65536, 65537)] == [True] * 4 + [False]
