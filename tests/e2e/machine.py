"""Where everything runs: folders, the user that Airflow runs as, interpreters, virtual environments, ports."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.started import Ledger, identity

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
AIRFLOW_UID, AIRFLOW_GID = 50000, 0
"""Those of Airflow's official image."""

CONSTRAINTS = HERE / "constraints.txt"
INSTALLED = ("apache-airflow", "asyncpg", "celery", "gunicorn", "memray", "psycopg2-binary", "setproctitle")
"""What goes into the services' environment, at the versions of constraints.txt."""

Say = Callable[[str], None]


@dataclass
class Machine:
    """Folders, users and programs of one run."""

    cache: Path
    say: Say
    uid: int
    gid: int
    python: str
    constraints: Path = CONSTRAINTS
    run: Path = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.run = self.cache / "run"
        self.ledger = Ledger(self.run / "started", self.run / "logs")

    @property
    def services(self) -> Path:
        """The bin folder of the environment with Airflow, gunicorn and Celery."""
        return self.cache / f"services-{_digest(self.constraints.read_bytes() + self.python.encode())}" / "bin"

    @property
    def airmem(self) -> Path:
        """The airmem that is tested, installed where the user of Airflow may run it."""
        return self.cache / f"airmem-{_digest(self.python.encode())}" / "bin" / "airmem"

    @property
    def is_root(self) -> bool:
        """Whether the harness may become somebody else."""
        return os.geteuid() == 0

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the services: nothing of the caller's but the path and the language."""
        kept = {name: os.environ[name] for name in ("LANG", "TZ") if name in os.environ}
        system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {
            **kept,
            "PATH": f"{self.services}:{system}",
            "HOME": str(self.run / "home"),
            "USER": "airflow",
            "LOGNAME": "airflow",
            "E2E_NOTES": str(self.run / "notes"),
            "PYTHONPATH": str(self.run / "apps"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    @property
    def token(self) -> str:
        """A short name of this run's folder."""
        return _digest(str(self.cache).encode())

    def own(self, path: Path, mode: int = 0o755) -> Path:
        """Make a folder that belongs to the user of the services."""
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        if self.is_root:
            os.chown(path, self.uid, self.gid)
        return path

    def lay_out(self) -> None:
        """Make the run's folder anew, with the DAGs and programs where their user can read them."""
        shutil.rmtree(self.run, ignore_errors=True)
        self.own(self.run)
        for name in ("answers", "logs", "home", "notes"):
            self.own(self.run / name, 0o700)
        for name in ("dags", "apps"):
            shutil.copytree(HERE / name, self.run / name, ignore=shutil.ignore_patterns("__pycache__"))

    def beside(self, version: str) -> Machine:
        """Return a place for another Airflow in this run, its environment made; what it starts ends with this run."""
        other = Machine(
            self.cache / version, self.say, self.uid, self.gid, self.python, HERE / f"constraints-{version}.txt"
        )
        other.ledger = Ledger(self.ledger.path, other.run / "logs")
        other.ledger.all = self.ledger.all
        self.own(other.cache)
        other.lay_out()
        other.install_services()
        return other

    def install(self) -> None:
        """Make the virtual environments, or bring airmem's up to date."""
        self.install_services()
        self.install_airmem()

    def install_services(self) -> None:
        """Make the environment of the services."""
        stamp = self.services.parent / ".complete"
        if not stamp.exists():
            shutil.rmtree(self.services.parent, ignore_errors=True)
            wanted = [name for name in INSTALLED if f"\n{name}==" in self.constraints.read_text()]
            self.say(f"installing {', '.join(wanted)} into {self.services.parent} (some minutes)")
            _make(self.python, self.services.parent)
            _pip(self.services, "install", "--constraint", str(self.constraints), *wanted)
            stamp.touch()

    def install_airmem(self) -> None:
        """Install the airmem that is tested."""
        if not self.airmem.parent.exists():
            self.say(f"installing airmem into {self.airmem.parents[1]}")
            _make(self.python, self.airmem.parents[1])
            _pip(self.airmem.parent, "install", str(REPOSITORY))
        else:
            _pip(self.airmem.parent, "install", str(REPOSITORY))  # dependencies that are new
        _pip(self.airmem.parent, "install", "--force-reinstall", "--no-deps", str(REPOSITORY))

    def command(self, name: str, *arguments: str, more: Mapping[str, str] | None = None) -> str:
        """Run a command of the services to its end, as their user. Errors: AssertionError with its output."""
        done = subprocess.run(
            [str(self.services / name), *arguments],
            env={**self.variables, **(more or {})},
            cwd=self.run / "home",
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            preexec_fn=identity(self.uid, self.gid),
        )
        assert done.returncode == 0, f"{name} {' '.join(arguments)}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def run_airmem(self, *arguments: object, uid: int | None = None, gid: int | None = None) -> Any:
        """Run the installed airmem as the harness's user, or as another."""
        user = os.geteuid() if uid is None else uid
        done = subprocess.run(
            [str(self.airmem), *map(str, arguments)],
            env={"PATH": "/usr/bin:/bin", "HOME": "/", "COLUMNS": "100"},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            preexec_fn=identity(user, os.getegid() if gid is None else gid),
        )
        assert "Traceback (most recent call last)" not in done.stdout + done.stderr
        return done

    def keep(self, name: str, text: str) -> None:
        """Keep an answer beside the logs, for people."""
        (self.run / "answers" / name).write_text(text)

    def end(self) -> None:
        """Let the tasks go and end all that was started."""
        if not self.ledger.all:
            return
        began = time.monotonic()
        (self.run / "notes" / "let-go").touch()
        self.ledger.end()
        self.say(f"ended all that was started: {time.monotonic() - began:.0f} s; logs are in {self.run / 'logs'}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second run on the same folder away."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with open(self.cache / "lock", "w", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                pytest.exit(f"another end-to-end run uses {self.cache}; AIRMEM_E2E_DIR chooses another folder", 1)
            yield


def find_machine(say: Say) -> Machine:
    """Return the place of this run. Errors: the session ends when something that is needed is missing."""
    is_root = os.geteuid() == 0
    home = Path("/var/cache") if is_root else Path.home() / ".cache"
    cache = Path(os.environ.get("AIRMEM_E2E_DIR") or home / "airmem-e2e").resolve()
    uid, gid = (AIRFLOW_UID, AIRFLOW_GID) if is_root else (os.geteuid(), os.getegid())
    if is_root:
        cache.mkdir(parents=True, exist_ok=True)
        shut = [str(part) for part in (cache, *cache.parents) if part.stat().st_mode & 0o005 != 0o005]
        if shut:
            pytest.exit(f"uid {uid}, as which Airflow runs, may not enter {shut[-1]}; set AIRMEM_E2E_DIR", 1)
    return Machine(cache, say, uid, gid, _find_python(uid, gid))


def _find_python(uid: int, gid: int) -> str:
    """Return an interpreter that the services' user may run, and that can make virtual environments."""
    chosen = os.environ.get("AIRMEM_E2E_PYTHON")
    own = os.path.realpath(sys.executable)
    for path in [chosen] if chosen else ["/usr/bin/python3", "/usr/local/bin/python3", own]:
        test = "import ensurepip, sys; sys.exit(sys.version_info < (3, 10))"
        with suppress(OSError, subprocess.SubprocessError):
            line = [path, "-c", test]
            become = identity(uid, gid)
            done = subprocess.run(line, cwd="/", preexec_fn=become, capture_output=True, check=False)
            if done.returncode == 0:
                return path
    pytest.exit("no Python 3.10 with ensurepip that Airflow's user may run (python3-venv); set AIRMEM_E2E_PYTHON", 1)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def _make(python: str, folder: Path) -> None:
    subprocess.run([python, "-m", "venv", str(folder)], check=True)


def _pip(folder: Path, *arguments: str) -> None:
    command = [str(folder / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.exit(f"pip {' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}", 1)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def answers(url: str) -> bool:
    """Whether a server on this machine answers with success."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError), opener.open(url, timeout=3) as response:
        return bool(response.status == 200)
    return False


def wait_for(what: str, condition: Callable[[], Any], seconds: float, needs: Sequence[Any] = ()) -> Any:
    """Wait for a condition and return its value; fail with the logs when it does not come or a process ends."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        dead = [one for one in needs if not one.place.is_alive]
        if dead or time.monotonic() > end:
            why = f"{dead[0].name} has ended" if dead else f"waited {seconds:.0f} s"
            logs = "\n".join(f"--- {one.name}\n{one.last_lines()}" for one in (dead or needs))
            raise AssertionError(f"{what}: {why}\n{logs}")
        time.sleep(0.2)


def find_postgres_user() -> tuple[int, int]:
    """Return the uid and gid of PostgreSQL's own user; it refuses to run as root."""
    found = pwd.getpwnam("postgres")
    return found.pw_uid, found.pw_gid
