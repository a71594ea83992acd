"""What live tests share: targets, the real airmem as a subprocess, a private Python, and what this place allows."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest

import airmem
from tests.live.tree import Target

PROGRAMS = Path(__file__).parent / "programs"
HEAVY = ("site-packages", "test", "tests", "idlelib", "ensurepip", "tkinter", "lib2to3", "config-*")
Start = Callable[..., Target]


@pytest.fixture(scope="session")
def public_folder() -> Iterator[Path]:
    """A folder that every user can read."""
    with tempfile.TemporaryDirectory(prefix="airmem-tests-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def programs(public_folder: Path) -> Path:
    """The target programs, where every user can run them."""
    return Path(shutil.copytree(PROGRAMS, public_folder / "programs"))


@pytest.fixture
def start(programs: Path) -> Iterator[Start]:
    """Start programs of programs/ (or any command with `command=`), and end them after the test."""
    targets: list[Target] = []

    def run(
        name: str = "",
        *arguments: object,
        python: Sequence[str] = (sys.executable,),
        command: Sequence[str] = (),
        **more: Any,
    ) -> Target:
        line = [*command] if command else [*python, str(programs / f"{name}.py"), *map(str, arguments)]
        process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more)
        targets.append(Target(process))
        return targets[-1].wait_ready()

    yield run
    for target in targets:
        target.stop()


def run_airmem(*arguments: object, command: Sequence[str] = (sys.executable, "-m", "airmem"), **more: Any) -> Any:
    """Run the real command line; no traceback may reach anybody."""
    line = [*command, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False, **more)
    assert "Traceback" not in done.stderr + done.stdout
    return done


def ask(*arguments: object, status: int = 0, **more: Any) -> Any:
    """Run airmem, which must end with this status, and return its JSON answer."""
    done = run_airmem(*arguments, "--format", "json", **more)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def by_pid(answer: Any) -> dict[int, Any]:
    """Return the processes of an answer by their pid."""
    return {row["pid"]: row for row in answer["processes"]}


@pytest.fixture
def page_frames() -> None:
    """Skip where page frame numbers are hidden or may not be counted."""
    try:
        with open("/proc/kpagecount", "rb") as counts, open("/proc/kpageflags", "rb") as flags:
            counts.read(8), flags.read(8)
    except OSError as problem:
        pytest.skip(f"needs CAP_SYS_ADMIN in the first user namespace, to read {problem.filename}: {problem.strerror}")


@pytest.fixture
def superuser() -> None:
    """Skip where other users' processes cannot be started."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv (util-linux), to run programs as another user")


@pytest.fixture(scope="session")
def private_python(public_folder: Path) -> list[str]:
    """Return the command of a private copy of this interpreter, with its libraries, loader and standard library.

    A tree that it runs shares no page of a file with airmem, which maps its own libpython while it looks and so
    would change the PSS that it measures. Every user can read it.
    """
    folder = public_folder / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    light = shutil.ignore_patterns(*HEAVY)
    shutil.copytree(sysconfig.get_path("stdlib"), folder / "lib" / version, ignore=light)
    libraries = _libraries(sys.executable)
    for module in (folder / "lib" / version / "lib-dynload").glob("*.so"):
        libraries |= _libraries(str(module))
    for path in libraries:
        shutil.copy(path, folder / "lib")
    shutil.copy(os.path.realpath(sys.executable), folder / "python")
    loader = next((folder / "lib" / Path(path).name for path in libraries if Path(path).name.startswith("ld-")), None)
    variables = ["env", "-i", f"PYTHONHOME={folder}", "LC_ALL=C", "PYTHONDONTWRITEBYTECODE=1"]
    python = [str(loader), "--library-path", str(folder / "lib"), str(folder / "python")]
    if loader is None or subprocess.run([*variables, *python, "-c", "pass"], check=False).returncode:
        pytest.skip("needs an interpreter that runs from a copy of itself and its libraries")
    return [*variables, *python]


@pytest.fixture(scope="session")
def private_airmem(private_python: list[str], public_folder: Path) -> list[str]:
    """Return the command of airmem and click, without anything else installed, in a private Python."""
    folder = public_folder / "airmem"
    for module in (airmem, click):
        source = Path(str(module.__file__)).parent
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(folder, quiet=1)
    return [private_python[0], private_python[1], f"PYTHONPATH={folder}", *private_python[2:], "-m", "airmem"]


@pytest.fixture(scope="session")
def private_airmem_numpy(private_airmem: list[str], public_folder: Path) -> list[str]:
    """Return the command of airmem with numpy beside it, as every user can run it."""
    import numpy

    folder = public_folder / "numpy-beside"
    source = Path(str(numpy.__file__)).parent
    for name in ("numpy", "numpy.libs"):
        if (source.parent / name).is_dir():
            shutil.copytree(source.parent / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    paths = f"PYTHONPATH={public_folder / 'airmem'}{os.pathsep}{folder}"
    return [paths if word.startswith("PYTHONPATH=") else word for word in private_airmem]


def _libraries(path: str) -> set[str]:
    """Return the shared libraries that the dynamic loader would map for a program, itself included."""
    listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    words = [word for line in listing.splitlines() for word in line.split()]
    return {os.path.realpath(word) if "ld-" in word else word for word in words if word.startswith("/")}


@pytest.fixture
def hugepages() -> Iterator[None]:
    """Reserve some 2 MiB pages for hugetlb, and give them back."""
    path = "/proc/sys/vm/nr_hugepages"
    try:
        before = int(Path(path).read_text())
        Path(path).write_text(str(before + 4))
    except OSError as problem:
        pytest.skip(f"needs root, to reserve huge pages in {path}: {problem.strerror}")
    if int(Path(path).read_text()) < before + 4:
        Path(path).write_text(str(before))
        pytest.skip("needs 8 MiB of unfragmented memory for huge pages")
    yield
    Path(path).write_text(str(before))


@pytest.fixture
def small_disk(tmp_path: Path, superuser: None) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)], check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
