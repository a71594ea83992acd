"""Where the target's Pythons come from: Debian's by debootstrap, pyenv's, and those that are named."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.kernels.run import mirrors

PROGRAMS = Path(__file__).parents[1] / "live/programs"
SUITES = ("trixie", "sid")
"""Debian's releases with 3.13, and with 3.14 and newer."""

OLDEST = (3, 10)
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
APT = ("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Check-Valid-Until=false")
INSIDE = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
"""A /proc that is gone with the mount namespace it is in."""

TELL = """
import sys, sysconfig
try:
    import numpy  # what a release has for its default Python is found by the others, and cannot be imported there
except ImportError:
    numpy = None
print(sys.version.split()[0] + "t" * bool(sysconfig.get_config_var("Py_GIL_DISABLED")), numpy is not None)
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python for targets: its version (3.13.5, 3.13.5t), where it is from, and how a program is run with it."""

    version: str
    origin: str
    command: tuple[str, ...]
    folder: str
    has_numpy: bool

    @property
    def is_free_threaded(self) -> bool:
        """Whether it has no GIL."""
        return self.version.endswith("t")


def find_pythons(cache: Path, with_debian: bool) -> list[Interpreter]:
    """Return every interpreter that can be had, oldest first; what cannot be had is told on standard output."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    named = [Path(one) for one in os.environ.get("AIRMEM_MATRIX_PYTHONS", "").split(":") if one]
    paths = [*sorted(pyenv.glob("3.*/bin/python")), *named]
    found = [_describe("pyenv" if pyenv in path.parents else "named", (str(path),), str(PROGRAMS)) for path in paths]
    for suite in SUITES if with_debian else ():
        found += _debian(suite, cache)
    usable = [one for one in found if one is not None and _number(one.version) >= OLDEST]
    return sorted(usable, key=lambda one: (_number(one.version), one.version, one.origin))


def _debian(suite: str, cache: Path) -> list[Interpreter | None]:
    """Return the Pythons of a Debian release, in a folder of the cache that debootstrap fills the first time."""
    missing = [name for name in ("debootstrap", "unshare", "chroot") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        print(f"not run: Debian's Pythons of {suite} need root and {', '.join(missing) or 'nothing else'}")
        return []
    root = cache / f"root-{suite}"
    if not (root / ".complete").exists():
        _bootstrap(suite, root)
    shutil.copytree(PROGRAMS, root / "srv/programs", dirs_exist_ok=True)
    command = ("unshare", "--mount", "--propagation", "private", "sh", "-c", INSIDE, str(root))
    names = sorted(
        path.name for path in (root / "usr/bin").glob("python3.*") if re.fullmatch(r"python3\.\d+", path.name)
    )
    return [_describe(suite, (*command, name), "/srv/programs") for name in names]


def _bootstrap(suite: str, root: Path) -> None:
    """Make a Debian with every Python 3 that the release has, and numpy for its default one."""
    print(f"fetching Debian {suite} into {root}", flush=True)
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    more = ["--variant=minbase", "--include=python3,python3-numpy"]
    keyring = [f"--keyring={KEYRING}"] if Path(KEYRING).exists() else []
    _run("debootstrap", *keyring, *more, suite, str(root), mirrors()[0])
    _run("chroot", str(root), *APT, "update")
    names = _run("chroot", str(root), "apt-cache", "pkgnames", "python3.").split()
    versions = [name for name in names if re.fullmatch(r"python3\.\d+", name)]
    _run("chroot", str(root), *APT, "install", "--yes", "--no-install-recommends", *versions)
    (root / ".complete").touch()


def _describe(origin: str, command: tuple[str, ...], folder: str) -> Interpreter | None:
    done = subprocess.run([*command, "-c", TELL], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"not run: {command[-1]} from {origin}: {done.stderr.strip()[-200:]}")
        return None
    version, has_numpy = done.stdout.split()
    return Interpreter(version, origin, command, folder, has_numpy == "True")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
