"""What the recorder wrote is read, wherever it ends."""

from __future__ import annotations

import os
import subprocess
import sys

from airmem.probes.importer import ImportRequest, encode_request, parse_record, run_import

TEXT = (
    b"something at the start\nH\t3.11.7\t/bin/python\t/usr\t4096\nR\t100\nS\t10\t5\t1000000000\nN\tapp\n"
    b"B\t10\t5\t1000000000\tapp\t/app.py\t\t0\n"
    b"B\t12\t5\t1100000000\tdeep\t/deep.py\t/app.py\t3\n"
    b"I\tjson\tdecoder,encoder\t/deep.py\t7\n"
    b"E\t20\t6\t1300000000\tdeep\nE\t25\t6\t1500000000\tapp\nF\t26\t6\t1600000000\nR\t164\n"
    b"D\tapp\tmine\t1.0\nC\t2\nZ\n"
)


def test_a_record_is_read():
    record = parse_record(TEXT)
    deep, app = record.loads
    assert (deep.name, deep.parent, deep.importer_path, deep.line) == ("deep", "app", "/app.py", 3)
    assert (deep.own_bytes, deep.inclusive_bytes, deep.own_file_bytes) == (8 * 4096, 8 * 4096, 4096)
    assert (app.own_bytes, app.inclusive_bytes) == (7 * 4096, 15 * 4096)
    assert (round(app.own_seconds, 6), round(app.inclusive_seconds, 6)) == (0.3, 0.5)
    assert record.needs == (("", "app", (), "", 0), ("deep", "json", ("decoder", "encoder"), "/deep.py", 7))
    assert (record.growth_bytes, record.walked_growth_bytes) == (16 * 4096, 64 * 1024)
    assert (record.distributions, record.without_bytecode_count) == ({"app": ("mine", "1.0")}, 2)
    assert record.is_complete
    assert record.failure is None


def test_a_record_that_ends_anywhere_is_read_up_to_there():
    for length in range(len(TEXT)):
        record = parse_record(TEXT[:length])
        assert record.is_complete is False
        assert sum(one.own_bytes for one in record.loads) in (0, 8 * 4096, 15 * 4096)
    cut = parse_record(TEXT[: TEXT.index(b"E\t20")])
    assert cut.open_names == ("app", "deep")


def test_a_request_is_a_literal_that_a_payload_can_read():
    request = ImportRequest(
        modules=("a", "b"), start=("s", "c"), without=("x",), is_missing=True, moved=(("/a", "/b"),)
    )
    constants = {"true": True, "false": False, "null": None}
    for one in (request, ImportRequest()):
        found = eval(encode_request(one, out="/tmp/é'\"\\"), {"__builtins__": {}}, constants)
        assert found["modules"] == list(one.modules)
        assert found["is_missing"] is one.is_missing
        assert found["out"] == "/tmp/é'\"\\"


def test_a_deadline_ends_the_child_and_says_where_it_was(tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(3600)\n")
    request = ImportRequest(modules=("slow",))
    record = run_import(sys.executable, request, deadline_seconds=5, environment=dict(os.environ), cwd=str(tmp_path))
    assert record.failure.kind == "Timeout"
    assert record.open_names == ("slow",)


def test_payloads_use_the_standard_library_only_and_print_their_own_lines(tmp_path):
    recorder = os.path.join(
        os.path.dirname(sys.modules["airmem.probes.importer"].__file__), "payloads", "import_recorder.py"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", recorder, encode_request(ImportRequest(modules=("json",)))],
        capture_output=True,
        check=True,
    )
    assert parse_record(done.stdout).is_complete
    assert done.stderr == b""
