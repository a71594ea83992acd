"""PostgreSQL of this run: Debian's programs, a data folder and a port of its own, on loopback only."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.machine import Machine, find_postgres_user, free_ports, wait_for
from tests.e2e.started import Started, identity

SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 200
shared_buffers = 64MB
fsync = off
logging_collector = off
"""


def start_postgres(machine: Machine) -> str:
    """Start a fresh server and return the address of an empty database: airflow:PASSWORD@127.0.0.1:PORT/airflow."""
    programs = _find_programs(machine)
    uid, gid = find_postgres_user() if machine.is_root else (os.geteuid(), os.getegid())
    folder = machine.run / "postgres"
    folder.mkdir(mode=0o700)
    password, port = secrets.token_hex(12), free_ports(1)[0]
    secret = machine.run / "postgres.password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    for path in (folder, secret):
        os.chown(path, uid, gid)
    become = identity(uid, gid)
    line = [programs / "initdb", "-D", folder, "-U", "airflow", "-A", "scram-sha-256", f"--pwfile={secret}", "-N"]
    done = subprocess.run(
        [*map(str, line), "-E", "UTF8", "--locale=C.UTF-8"],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=become,
    )
    assert done.returncode == 0, done.stderr
    secret.unlink()
    with open(folder / "postgresql.conf", "a", encoding="utf-8") as file:
        file.write(SETTINGS.format(port=port))
    server = machine.ledger.start(
        "postgres",
        [str(programs / "postgres"), "-D", str(folder)],
        variables={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        folder=Path("/"),
        become=become,
    )
    _create_database(programs, server, port, password)
    machine.say(f"PostgreSQL {programs.parent.name}: pid {server.pid}, port {port}")
    return f"airflow:{password}@127.0.0.1:{port}/airflow"


def _find_programs(machine: Machine) -> Path:
    """Return the folder with initdb and postgres, after installing Debian's package where that is possible."""
    found = _installed()
    if not found and machine.is_root and shutil.which("apt-get"):
        machine.say("installing postgresql with apt-get")
        quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "capture_output": True}
        subprocess.run(["apt-get", "update"], check=False, **quiet)  # type: ignore[call-overload]
        subprocess.run(["apt-get", "install", "-y", "postgresql"], check=False, **quiet)  # type: ignore[call-overload]
        found = _installed()
    if not found:
        pytest.exit("PostgreSQL's server is not installed (Debian: apt-get install postgresql)", 1)
    return found[-1]


def _installed() -> list[Path]:
    paths = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return sorted((path.parent for path in paths), key=lambda path: int(path.parent.name))


def _create_database(programs: Path, server: Started, port: int, password: str) -> None:
    line = [str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "airflow", "airflow"]
    variables = {"PATH": "/usr/bin:/bin", "PGPASSWORD": password}

    def is_made() -> bool:
        return subprocess.run(line, env=variables, cwd="/", capture_output=True, check=False).returncode == 0

    wait_for("creating the database", is_made, 60, [server])
