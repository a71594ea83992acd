"""Secrets never leave kernel/cmdline.py; harmless words stay."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airmem.kernel.cmdline import READ_BYTES, is_secret_name, parse_cmdline, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
HIDDEN = "[redacted]"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("mysql", "--password", "hunter2", "-v"), ("mysql", "--password", HIDDEN, "-v")),
        (("mysql", "--password=hunter2"), ("mysql", f"--password={HIDDEN}")),
        (("mysql", "--password=two words"), ("mysql", f"--password={HIDDEN}")),
        (("tool", "-db.password", "hunter2"), ("tool", "-db.password", HIDDEN)),
        (("tool", "--dbPassword", "hunter2"), ("tool", "--dbPassword", HIDDEN)),
        (("tool", "--api-key", "hunter2"), ("tool", "--api-key", HIDDEN)),
        (("tool", "--apikey=hunter2"), ("tool", f"--apikey={HIDDEN}")),
        (("tool", "--password-value", "hunter2"), ("tool", "--password-value", HIDDEN)),
        (("env", "PGPASSWORD=hunter2", "psql"), ("env", f"PGPASSWORD={HIDDEN}", "psql")),
        (("env", "AWS_SECRET_ACCESS_KEY=hunter2"), ("env", f"AWS_SECRET_ACCESS_KEY={HIDDEN}")),
        (("env", "AIRFLOW_CONN_DB=hunter2"), ("env", f"AIRFLOW_CONN_DB={HIDDEN}")),
        (("env", "AIRFLOW_VAR_X=hunter2"), ("env", f"AIRFLOW_VAR_X={HIDDEN}")),
        (("helm", "--set", "auth.password=hunter2"), ("helm", "--set", f"auth.password={HIDDEN}")),
        (("curl", "-u", "me:hunter2"), ("curl", "-u", f"me:{HIDDEN}")),
        (("curl", "-H", "Authorization: Bearer hunter2"), ("curl", "-H", f"Authorization: {HIDDEN}")),
        (("curl", "-H", "X-Api-Key: hunter2"), ("curl", "-H", f"X-Api-Key: {HIDDEN}")),
        (("celery", "-b", "redis://:hunter2@host:6379/0"), ("celery", "-b", f"redis://{HIDDEN}@host:6379/0")),
        (("x", "postgresql://u:hun/t@er2@host/db"), ("x", f"postgresql://{HIDDEN}@host/db")),
        (("git", "clone", "https://hunter2hunter2hunter2@host/x"), ("git", "clone", f"https://{HIDDEN}@host/x")),
        (
            ("tool", "--conf", '{"password": "hunter2 x", "n": 1}'),
            ("tool", "--conf", f'{{"password": {HIDDEN}, "n": 1}}'),
        ),
        (("curl", "https://host/?token=hunter2&x=1"), ("curl", f"https://host/?token={HIDDEN}&x=1")),
        (("python", "-c", "login(password='hunter2')"), ("python", "-c", f"login(password={HIDDEN})")),
        (("tool", JWT), ("tool", HIDDEN)),
        (("tool", "--x=" + JWT), ("tool", f"--x={HIDDEN}")),
        (("tool", "ghp_abcdefghijklmnopqrstuv"), ("tool", HIDDEN)),
        (
            ("python", "-m", "m", "--json-string", '{"a": "hunter2"}', "z"),
            ("python", "-m", "m", "--json-string", HIDDEN),
        ),
        (("python", "-m", "m", '--json-string={"a": 1}'), ("python", "-m", "m", "--json-string", HIDDEN)),
        (("tool", "--json", '{"a": "hunter2"}'), ("tool", "--json", HIDDEN)),
        (("tool --password hunter2 -v",), (f"tool --password {HIDDEN} -v",)),
        (("tool Authorization: Bearer hunter2 x",), (f"tool Authorization: {HIDDEN} {HIDDEN} x",)),
        (('m --json-string {"token": "hunter2", "b": 1}',), (f"m --json-string {HIDDEN}",)),
        (("title redis://:hunter2@host/0 x",), (f"title redis://{HIDDEN}@host/0 x",)),
    ],
)
def test_a_secret_is_replaced(arguments, expected):
    assert redact(arguments) == expected
    assert "hunter2" not in "".join(redact(arguments))


@pytest.mark.parametrize(
    "line",
    [
        "python /bin/airflow scheduler --key-func x",
        "python monkey.py --author me --authors you",
        "tool --password-file /run/secrets/db --token-file /x --password-stdin",
        "tool --max-tokens 100 --max-new-tokens 5 --tokenizer gpt2",
        "tool --keyfile a --keyspace b --key c --keys d",
        "kubectl get secret name",
        "vault token lookup",
        "tool --json report",
        "tool --cookie-name sid --auth-backend x.y --connect host --connections 4",
        "tool --bypass yes --pass-through x --compass north",
        "ssh git@host https://user@host/x http://host:80/path",
        "gunicorn: master [token]",
        "[celeryd: celery@host:MainProcess] -active- (worker --concurrency 4)",
        "airflow worker -- LocalExecutor: connection-test my_conn",
        "redis-server *:6379",
    ],
)
def test_harmless_words_stay(line):
    assert redact(tuple(line.split(" "))) == tuple(line.split(" "))
    assert redact((line,)) == (line,)


def test_padding_of_a_title_is_dropped():
    assert parse_cmdline(b"airflow serve-logs\0\0\0") == ("airflow serve-logs",)
    assert parse_cmdline(b"nginx: worker process          \0") == ("nginx: worker process",)
    assert parse_cmdline(b"") == parse_cmdline(b"\0\0 ") == ()


def test_empty_arguments_in_between_stay():
    assert parse_cmdline(b"a\0\0b\0") == ("a", "", "b")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_command_line(raw):
    assert all(isinstance(one, str) for one in parse_cmdline(raw))


PIECES = [
    "--password",
    "=",
    ":",
    "://",
    "@",
    "eyJ",
    "Bearer ",
    '"',
    "'",
    "\\",
    " ",
    "token",
    "--json-string",
    "\0",
    "a",
    "é",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_any_mixture_of_what_the_rules_look_for_is_read(pieces):
    parse_cmdline("".join(pieces).encode())


@given(
    st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=8),
    st.sampled_from(["--token", "--db-password"]),
)
def test_whatever_follows_a_secret_option_is_gone(secret, option):
    assert secret not in redact(("program", option, secret))


@pytest.mark.parametrize(
    "piece", ["a", "eyJ", "://a:", "@://a:", "password", "password=", "--token ", "Bearer  ", "a\0", "x:", '"', "A"]
)
def test_64_kib_of_anything_take_little_time(piece):
    raw = ("key@" + piece * READ_BYTES).encode()[:READ_BYTES]
    began = time.process_time()
    parse_cmdline(raw)
    assert time.process_time() - began < 1.0


def test_a_name_of_64_kib_is_no_secret_name():
    assert not is_secret_name("a" * READ_BYTES + "password")
