from __future__ import annotations

import ast
import re
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airmem.capture.bundle import read_collector
from airmem.capture.collector import Secrets, is_called
from airmem.kernel.cmdline import parse_cmdline
from tests.architecture.house import PACKAGE

WORDS = ["python", "airflow", "--password", "hunter2", "-u", "--user", "me:pw", "--json-string", "--json", '{"token": "x"}',
         "[1]", "Authorization:", "Bearer", "basic", "token", "eyJhbGciOi.eyJzdWIi.c2ln", "postgresql://me:pw@db/x",
         "--api-key=abc", "AIRFLOW_CONN_X=y", "AIRFLOW_VAR_Y=z", "ghp_0123456789abcdefghij", "--max-new-tokens", "100",
         "FERNET_KEY=abc", "clientSecret:x", "password='a b'", "--password-file", "/etc/x", "-password", "x@y", "--"]  # fmt: skip
LINES = st.lists(st.sampled_from(WORDS) | st.text(max_size=12), max_size=8)


@given(LINES, st.sampled_from(["\0", " "]), st.sampled_from(["", "\0", "\0\0", "  "]))
@example(["curl", "-u", "me:pw"], "\0", "\0")
@example(["sh", "-c", "curl -H 'Authorization: Bearer abcdefghij'"], "\0", "\0")
def test_the_rules_are_those_of_the_kernel_room(words, separator, end):
    """What airmem shows of a captured command line is what it shows of the live one; nothing more is in the file."""
    raw = (separator.join(words) + end).encode(errors="surrogatepass")
    kept = Secrets().redact(raw)
    assert parse_cmdline(kept) == parse_cmdline(raw)
    if kept != raw:
        assert tuple(kept.rstrip(b"\0 ").decode(errors="surrogateescape").split("\0")) == parse_cmdline(raw)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_a_command_line(raw):
    assert parse_cmdline(Secrets().redact(raw)) == parse_cmdline(raw)


@pytest.mark.parametrize(
    ("target", "title"),
    [
        ("scheduler", "airflow scheduler -- LocalExecutor"),
        ("scheduler", "/usr/bin/python3 /home/airflow/.local/bin/airflow scheduler"),
        ("api-server", "airflow api_server -- host:0.0.0.0 port:8080"),
        ("dag-processor", "python airflow dag-processor"),
        ("celery-worker", "/usr/bin/python -m celery -A app worker"),
        ("celery-worker", "[celeryd: celery@host:MainProcess]"),
        ("gunicorn", "gunicorn: master [app]"),
        ("gunicorn", "/usr/bin/python3 /usr/bin/gunicorn app:app"),
    ],
)
def test_a_title_is_recognized(target, title):
    assert is_called(target, title)


@pytest.mark.parametrize(
    ("target", "title"),
    [("scheduler", "vim scheduler.py"), ("gunicorn", "python server.py --behind gunicorn"), ("x", "")],
)
def test_another_title_is_not(target, title):
    assert not is_called(target, title)


@pytest.mark.parametrize("with_pages", [False, True])
def test_it_is_one_file_of_the_standard_library(with_pages):
    tree = ast.parse(read_collector(with_pages), feature_version=(3, 6))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names)
    assert not any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))


def test_it_is_not_longer_than_somebody_reads():
    assert len((PACKAGE / "capture" / "collector.py").read_text(encoding="utf-8").splitlines()) <= 400


def test_it_writes_nothing_but_its_stream():
    text = read_collector(True)
    assert "environ" not in text.replace("no process's environment is read", "")
    assert not re.search(r"""open\([^)]*["'][wax+]+b?["']""", text)
    assert "O_WRONLY" not in text


def test_what_is_printed_together_does_not_meet_by_name():
    from airmem.capture import collector, frames

    common = {name for name in vars(collector).keys() & vars(frames).keys() if not name.startswith("_")}
    assert {name: getattr(collector, name) for name in common} == {name: getattr(frames, name) for name in common}
