"""Who looks at whom: lookers and targets of every rank, made with setpriv, unshare and mounts of their own."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy

import airmem

DOCKER = (
    "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod audit_write"
    " setfcap"
)
"""What Docker gives a container's root by default (CapBnd 00000000a80425fb)."""

DEPTHS = ("status", "rollup", "mappings", "pages", "auto")


def contained_root(*more: str) -> list[str]:
    """Return the prefix of a command run as root with Docker's capabilities and some more."""
    held = ",".join(f"+{name}" for name in (*DOCKER.split(), *more))
    return ["setpriv", "--bounding-set", f"-all,{held}", "--inh-caps=-all"]


def user(uid: int, gid: int | None = None, *ambient: str) -> list[str]:
    """Return the prefix of a command run as a user without privileges, or with some that are ambient."""
    prefix = ["setpriv", "--reuid", str(uid), "--regid", str(uid if gid is None else gid), "--clear-groups"]
    held = ",".join(f"+{name}" for name in ambient)
    return [*prefix, "--inh-caps", held, "--ambient-caps", held] if ambient else prefix


def hiding(level: int) -> list[str]:
    """Return the prefix of a command that sees a /proc mounted with hidepid, in a mount namespace of its own."""
    script = f'mount -t proc -o hidepid={level} proc /proc && exec "$@"'
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"]


@dataclass(frozen=True)
class Done:
    """What a run of airmem gave."""

    status: int
    output: str
    errors: str

    @property
    def answer(self) -> Any:
        """The JSON document."""
        return json.loads(self.output)

    def gap(self, fact: str) -> Any:
        """The gap about a fact, None if there is none."""
        return next((one for one in self.answer["gaps"] if one["fact"] == fact), None)


@dataclass(frozen=True)
class Toolbox:
    """airmem as anybody can run it, and a sudo that fits a test that is root already; both first on PATH."""

    folder: Path
    python: list[str]

    @property
    def path(self) -> str:
        """The PATH to run with."""
        return f"{self.folder}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    def run(self, prefix: list[str], *arguments: object) -> Done:
        """Run airmem as somebody."""
        return self._run([*prefix, "airmem", *map(str, arguments)])

    def apply(self, prefix: list[str], line: str) -> Done:
        """Run a remedy's line in a shell."""
        return self._run([*prefix, "sh", "-c", line])

    def can_read(self, prefix: list[str], pid: int) -> bool:
        """Whether somebody can read a process's smaps_rollup, by cat: the oracle."""
        command = [*prefix, "cat", f"/proc/{pid}/smaps_rollup"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _run(self, command: list[str]) -> Done:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env={"PATH": self.path, "LC_ALL": "C"}
        )
        assert "Traceback" not in done.stderr + done.stdout
        return Done(done.returncode, done.stdout, done.stderr)


def make_toolbox(folder: Path, python: list[str], programs: Path) -> Toolbox:
    """Copy airmem, what it needs, and the target programs to where every user can read them."""
    for module in (airmem, click, numpy):
        source = Path(str(module.__file__)).parent
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    compileall.compile_dir(folder, maxlevels=3, quiet=1)
    libraries = Path(str(numpy.__file__)).parent.with_name("numpy.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / "numpy.libs")
    shutil.copytree(programs, folder / "programs", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "bin").mkdir()
    variables = f'PATH="$PATH" PYTHONPATH={folder}'
    write_script(folder / "bin/airmem", f'exec env -i {variables} {" ".join(python[2:])} -m airmem "$@"')
    write_script(folder / "bin/sudo", 'exec "$@"')
    return Toolbox(folder, python)


def write_script(path: Path, line: str) -> None:
    """Write a shell script that everybody can run."""
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def kernel_release() -> tuple[int, int]:
    """Return the kernel's version: hidepid belongs to a mount since 5.8, and to the whole pid namespace before."""
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(digit for digit in minor if digit.isdigit()))
