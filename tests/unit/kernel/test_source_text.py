"""Sources without secrets: what is replaced, and that the file still parses."""

from __future__ import annotations

import ast
import threading

import pytest

from airmem.kernel.source_text import redact_source


@pytest.mark.parametrize(
    "line",
    [
        "password = 'hunter2'",
        'connect(host="db", password="hunter2", port=5)',
        'settings = {"api_key": "hunter2"}',
        'os.environ["SECRET_TOKEN"] = "hunter2"',
        'set("fernet_key", b"hunter2")',
        'engine("postgresql://airflow:hunter2@db:5432/airflow")',
        'HEADERS = {"x": "ghp_hunter2hunter2hunter2"}',
        "T = 'eyJhunter2abc.eyJzdWIi.c2ln'",
    ],
)
def test_a_secret_goes(line):
    kept = redact_source(f"x = 1\n{line}\n")
    assert "hunter2" not in kept
    assert "[redacted]" in kept
    ast.parse(kept)


@pytest.mark.parametrize(
    "line",
    [
        "key = ('a', 'b')",
        "with self._lock: pass",
        "token = make('x')",
        "password = ''",
        'url = "https://example.org/a@b"',
    ],
)
def test_other_text_stays(line):
    assert redact_source(line) == line


def test_lines_keep_their_numbers():
    text = 'a = 1\nsecret = "x"\n\n\nb = 2\n'
    kept = redact_source(text)
    assert kept.split("\n")[4] == "b = 2"
    assert kept.count("\n") == text.count("\n")


def test_a_real_module_is_the_same_program_afterwards():
    with open(threading.__file__, encoding="utf-8") as file:
        text = file.read()
    assert ast.dump(ast.parse(redact_source(text))) == ast.dump(ast.parse(text))


def test_a_hostile_line_takes_time_in_proportion():
    import time

    began = time.monotonic()
    redact_source("password" * 20000 + "= '" + "\\'" * 20000)
    redact_source("://" + "a" * 200000)
    assert time.monotonic() - began < 30
