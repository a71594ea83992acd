"""Database servers as their clients show them: ports, socket paths, client libraries and drivers; and what to ask them.

The statements only read, and are for a person to run: airmem never connects to a database.
"""

from __future__ import annotations

PORTS = {5432: "postgres", 6432: "postgres", 3306: "mysql", 1433: "mssql", 1521: "oracle"}
"""Default ports; 6432 is PgBouncer."""

SOCKET_PATHS = {".s.PGSQL.": "postgres", "mysqld": "mysql", "mysql.sock": "mysql"}

DRIVERS = {
    "/psycopg/": "postgres", "/psycopg2/": "postgres", "/psycopg_c/": "postgres", "/psycopg_binary/": "postgres",
    "/asyncpg/": "postgres", "/pg8000/": "postgres", "/pymysql/": "mysql", "/MySQLdb/": "mysql",
    "/mysql/connector/": "mysql", "/aiomysql/": "mysql", "/mariadb/": "mysql", "/pymssql/": "mssql",
    "/oracledb/": "oracle",
}  # fmt: skip
"""A part of the path of a driver's frames -> the database."""

LIBRARIES = {
    "libpq": "postgres", "_psycopg": "postgres", "libmysqlclient": "mysql", "libmariadb": "mysql",
    "libclntsh": "oracle", "libtdsodbc": "mssql", "libmsodbcsql": "mssql",
}  # fmt: skip
"""The beginning of a client library's file name -> the database."""


POSTGRES_QUERY = (
    "select a.pid, a.wait_event_type, a.wait_event, a.query, b.pid as blocker_pid, b.state as blocker_state, "
    "b.xact_start as blocker_since, b.query as blocker_query from pg_stat_activity a "
    "left join pg_stat_activity b on b.pid = any(pg_blocking_pids(a.pid)) where a."
)


def find_database(files: list[str], libraries: set[str], port: int | None, path: str, is_sql: bool) -> str | None:
    """Return which database a socket leads to, None if it is no database's.

    `files` are those of the innermost frames, `libraries` the names of mapped files; `path` of a unix socket;
    `is_sql` tells that the innermost function calls execute, commit or fetch.
    """
    for part, name in SOCKET_PATHS.items():
        if part in path:
            return name
    for part, name in DRIVERS.items():
        if any(part in file for file in files):
            return name
    mapped = {name for start, name in LIBRARIES.items() if any(one.startswith(start) for one in libraries)}
    by_port = PORTS.get(port or 0)
    if by_port and (by_port in mapped or is_sql):
        return by_port
    return sorted(mapped)[0] if mapped and is_sql else None


def blocker_query(database: str, local_port: int | None) -> str:
    """Return the statement that shows who blocks a client, by the port that the client has; empty if none is known."""
    if database == "postgres":
        return POSTGRES_QUERY + (f"client_port = {local_port};" if local_port else "wait_event_type = 'Lock';")
    if database == "mysql":
        return "select * from sys.innodb_lock_waits; show processlist;"
    return ""
