"""py-spy's JSON: bytes that py-spy 0.4.3 printed of a real process with hostile names, shortened."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airmem.collect.hang_source import redact_value
from airmem.errors import Malformed
from airmem.probes.pyspy import parse_dump, strip_values

REAL = rb"""[{"pid": 7049, "thread_id": 139709197948608, "thread_name": "na\u001b[31mme\n", "os_thread_id": 7091,
"active": false, "owns_gil": false, "frames": [{"name": "A.m", "filename": "/srv/hf_t.py", "module": null,
"short_filename": "hf_t.py", "line": 4, "locals": [{"name": "self", "addr": 139709198672208, "arg": true,
"repr": "<A at 0x7f109528a150>"}, {"name": "x", "addr": 139709201210768, "arg": true, "repr": "\"sec\u001b[31mret\\n\""}],
"is_entry": true, "is_shim_entry": false}], "process_info": null},
{"pid": 7049, "thread_id": 139709212900224, "thread_name": null, "os_thread_id": null, "active": true, "owns_gil": true,
"frames": [{"name": "_ModuleLock.acquire", "filename": "<frozen importlib._bootstrap>", "module": null,
"short_filename": "<frozen importlib._bootstrap>", "line": 120, "locals": [{"name": "name", "addr": 1, "arg": false,
"repr": "\"plugin_mod\""}, {"name": "tid", "addr": 2, "arg": false, "repr": "7"}], "is_entry": true}, {"name": "__poll",
"filename": "libc.so.6", "module": "/lib/libc.so.6", "line": 0, "locals": null}]}]"""


def test_threads_and_frames_innermost_first():
    first, second = parse_dump(REAL)
    assert (first.tid, first.ident, first.name) == (7091, 139709197948608, "na\x1b[31mme\n")
    assert (first.is_active, first.owns_gil) == (False, False)
    (frame,) = first.frames
    assert (frame.function, frame.short_function, frame.file, frame.line) == ("A.m", "m", "/srv/hf_t.py", 4)
    assert frame.local_address("self") == 139709198672208
    assert frame.local_address("other") is None
    assert (second.tid, second.name, second.is_active, second.owns_gil) == (None, None, True, True)
    assert [one.is_native for one in second.frames] == [False, True]
    assert second.frames[1].locals is None


def test_values_go_and_addresses_stay():
    kept = parse_dump(strip_values(REAL, None))
    assert [one.text for one in kept[0].frames[0].locals] == [None, None]
    assert [one.object_address for one in kept[0].frames[0].locals] == [139709198672208, 139709201210768]
    assert b"ret" not in strip_values(REAL, None)


def test_the_name_of_a_module_that_is_imported_is_no_secret():
    assert [one.text for one in parse_dump(strip_values(REAL, None))[1].frames[0].locals] == ['"plugin_mod"', None]


def test_values_that_are_asked_for_come_without_secrets():
    kept = parse_dump(strip_values(REAL, redact_value))
    assert kept[0].frames[0].locals[1].text == '"sec\x1b[31mret\\n"'
    for name, value in [("password", "'hunter2'"), ("db_token", "7"), ("url", "'http://u:hunter2@db/'"),
                        ("conf", "{'api_key': 'hunter2'}"), ("x", "'eyJhunter2aaaa.bbbb.cccc'")]:  # fmt: skip
        assert "hunter2" not in redact_value(name, value)
    assert redact_value("dag_id", "'my_dag'") == "'my_dag'"


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[1]", b"Error: x", b'[{"frames": 7}]', b'[{"os_thread_id": "x"}]', b"[" * 9999]
)
def test_what_is_no_dump_is_malformed(raw):
    with pytest.raises(Malformed):
        parse_dump(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["frames", "locals", "name", "line", "os_thread_id", "repr"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from(["frames", "os_thread_id", "thread_name"]), JSON)))
def test_any_shape_is_taken_or_malformed(shape):
    raw = json.dumps(shape).encode()
    for read in (parse_dump, lambda one: strip_values(one, redact_value)):
        try:
            read(raw)
        except Malformed:
            continue
