from __future__ import annotations

import pytest

from airmem.services.databases import blocker_query, find_database


@pytest.mark.parametrize(
    ("files", "libraries", "port", "path", "is_sql", "expected"),
    [
        ([], {"libpq-5a1b.so.5"}, 5432, "", False, "postgres"),
        ([], {"libpq-5a1b.so.5"}, 54391, "", True, "postgres"),
        ([], {"libpq-5a1b.so.5"}, 443, "", False, None),
        ([], set(), 5432, "", False, None),
        (["/site-packages/pymysql/connections.py"], set(), 3307, "", False, "mysql"),
        ([], set(), None, "/var/run/postgresql/.s.PGSQL.5432", False, "postgres"),
        ([], set(), 443, "", True, None),
    ],
)
def test_a_database_is_told_by_driver_library_port_or_path(  # noqa: PLR0917  # a column each
    files, libraries, port, path, is_sql, expected
):
    assert find_database(files, libraries, port, path, is_sql) == expected


def test_the_statement_names_the_client():
    assert "client_port = 40404" in blocker_query("postgres", 40404)
    assert "pg_blocking_pids" in blocker_query("postgres", None)
    assert blocker_query("sqlite", 1) == ""
