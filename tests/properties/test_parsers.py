"""Whatever bytes a file holds, a parser returns or says that they are malformed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airmem.codec.document import fields_of
from airmem.errors import Malformed
from airmem.kernel.cgroup import locate, parse_membership, parse_memory_v1, parse_memory_v2, parse_process_ids
from airmem.kernel.cmdline import parse_cmdline
from airmem.kernel.container import parse_container_id
from airmem.kernel.maps import parse_maps_ranges
from airmem.kernel.mountinfo import parse_mounts
from airmem.kernel.smaps import parse_smaps, parse_smaps_rollup
from airmem.kernel.stat import parse_boot_time, parse_parent_pid, parse_stat
from airmem.kernel.status import parse_credentials, parse_status, parse_status_account
from tests.captures import read_capture

PARSERS: dict[str, Callable[[bytes], Any]] = {
    "stat": parse_stat,
    "parent": parse_parent_pid,
    "boot time": parse_boot_time,
    "status": lambda raw: parse_status_account(parse_status(raw)),
    "credentials": lambda raw: parse_credentials(parse_status(raw), 0),
    "smaps": parse_smaps,
    "smaps_rollup": parse_smaps_rollup,
    "maps": parse_maps_ranges,
    "mountinfo": lambda raw: parse_mounts(raw, "proc"),
    "membership": parse_membership,
    "locate": lambda raw: (locate(1, "/a", raw), locate(2, "/a", raw)),
    "memory v1": lambda raw: parse_memory_v1("/", dict.fromkeys(["memory.stat", "memory.usage_in_bytes"], raw)),
    "memory v2": lambda raw: parse_memory_v2("/", dict.fromkeys(["memory.stat", "memory.current"], raw)),
    "pids": parse_process_ids,
    "container": lambda raw: parse_container_id(raw, raw),
    "cmdline": parse_cmdline,
}
WORDS = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b"Rss:", b"Pss:", b"kB", b"VmFlags:", b"Uid:", b"CapPrm:", b"VmRSS:", b"Seccomp:", b"btime", b"memory", b"0::",
         b"proc", b"cgroup", b"-", b"(", b")", b"1000-2000", b"rw-p", b"00:00", b"0", b"9" * 5000, b"-1", b"--password"]
    ),
)  # fmt: skip
LINES = st.lists(
    st.lists(WORDS, max_size=9).map(b" ".join), max_size=6
).map(b"\n".join)  # fmt: skip


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=50, deadline=None)
@given(raw=st.one_of(st.binary(max_size=300), LINES))
@example(raw=b"")
@example(raw=b"btime " + b"9" * 5000 + b"\n")
@example(raw=b"VmRSS:\t" + b"9" * 5000 + b" kB\nUid:\t" + b"9" * 5000)
@example(raw=b"anon " + b"9" * 5000 + b"\n")
def test_any_bytes(name, raw):
    with suppress(Malformed):
        PARSERS[name](raw)


@pytest.mark.parametrize("name", ["smaps", "smaps_rollup", "maps", "stat", "status"])
@settings(max_examples=40, deadline=None)
@given(begin=st.integers(0, 5000), length=st.integers(0, 40), more=st.binary(max_size=20))
def test_a_real_file_with_a_stain(name, begin, length, more):
    raw = read_capture("bash", name)
    with suppress(Malformed):
        PARSERS[name](raw[:begin] + more + raw[begin + length :])


@settings(max_examples=100, deadline=None)
@given(rows=st.dictionaries(st.text("ABCabc_P", min_size=1, max_size=8), st.integers(0, 1 << 40), max_size=8))
def test_rows_of_a_kernel_to_come_change_nothing(rows):
    head, known = (
        b"1000-2000 ---p 0 00:00 0 [rollup]\n",
        b"Rss: 8 kB\nPss: 4 kB\nPrivate_Clean: 2 kB\nPrivate_Dirty: 1 kB\n",
    )
    more = b"".join(f"X{name}: {value} kB\nPss_{name}: {value} kB\n".encode() for name, value in rows.items())
    more = more.replace(b"Pss_Anon", b"Pss_X").replace(b"Pss_File", b"Pss_X").replace(b"Pss_Shmem", b"Pss_X")
    plain = fields_of(parse_smaps_rollup(head + known))
    for raw in (head + more + known, head + known + more):
        assert fields_of(parse_smaps_rollup(raw)) == plain
