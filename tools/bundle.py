"""Pack airmem with all that it needs, for machines without a network: dist/airmem-VERSION-ARCH.tar.gz.

    python tools/bundle.py [--arch x86_64] [--python 3.11] ...

One archive for each processor: wheels for glibc Linux and the Pythons asked for, pip itself, and install.sh. Where this
machine can use an archive it is tried: installed into an empty folder without an index, and run.
"""

from __future__ import annotations

import argparse
import email.parser
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
INSTALLER = Path(__file__).with_name("install.sh")
ARCHITECTURES = ("x86_64", "aarch64")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17}
NEWEST_GLIBC = 28
"""glibc 2.28 is that of RHEL 8 and Debian 10: what needs a newer one is not packed."""

LEGACY = {"x86_64": ("manylinux1", "manylinux2010", "manylinux2014"), "aarch64": ("manylinux2014",)}


class CommandFailed(Exception):
    """A program ended with an error."""


def main() -> int:
    """Make the archives and try the one that fits."""
    parser = argparse.ArgumentParser(description="Pack airmem for machines without a network.")
    parser.add_argument("--arch", action="append", choices=ARCHITECTURES, help="default: all")
    parser.add_argument("--python", action="append", choices=PYTHONS, help="default: all that have wheels")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        own = make_own_wheel(Path(scratch))
        for arch in chosen.arch or ARCHITECTURES:
            archive = make_archive(Path(scratch) / arch, own, arch, tuple(chosen.python or PYTHONS))
            print(f"{archive.relative_to(REPOSITORY)}  {archive.stat().st_size / (1 << 20):.0f} MiB", flush=True)
            if arch == os.uname().machine:
                try_archive(archive, Path(scratch) / "trial")
    return 0


def make_own_wheel(scratch: Path) -> Path:
    """Build airmem's wheel."""
    pip("wheel", "--no-deps", "--wheel-dir", str(scratch), str(REPOSITORY))
    return next(scratch.glob("airmem-*.whl"))


def make_archive(scratch: Path, own: Path, arch: str, pythons: tuple[str, ...]) -> Path:
    """Collect the wheels for one processor and pack them with install.sh."""
    name = f"airmem-{own.name.split('-')[1]}-{arch}"
    folder = scratch / name
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    shutil.copy(own, wheels)
    have = [python for python in pythons if collect(wheels, own, arch, python)]
    if not have:
        raise SystemExit(f"no Python of {', '.join(pythons)} has all wheels for {arch}")
    download(wheels, arch, have[0], "pip")
    shutil.copy(INSTALLER, folder / "install.sh")
    (folder / "ARCHITECTURE").write_text(f"{arch}\n")
    (folder / "PYTHONS").write_text("".join(f"{python}\n" for python in have))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(wheels.iterdir())}
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  wheels/{name}\n" for name, digest in digests.items()))
    archive = REPOSITORY / "dist" / f"{name}.tar.gz"
    archive.parent.mkdir(exist_ok=True)
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:  # wheels are compressed already
        tar.add(folder, arcname=name, filter=_anonymous)
    return archive


def collect(wheels: Path, own: Path, arch: str, python: str) -> bool:
    """Download what airmem needs under one Python; say so and return False when a wheel is missing."""
    try:
        download(wheels, arch, python, str(own))
        while missing := sorted(find_missing(wheels, arch, python)):
            download(wheels, arch, python, *missing)
    except CommandFailed as problem:
        reason = [line for line in str(problem).splitlines() if line.startswith("ERROR")][-1:]
        print(f"{arch}: Python {python} is left out: {' '.join(reason)}", file=sys.stderr)
        return False
    return True


def download(wheels: Path, arch: str, python: str, *wanted: str) -> None:
    """Download wheels and what they need. Errors: CommandFailed when something has no wheel."""
    platforms = [f"manylinux_2_{minor}_{arch}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC[arch] - 1, -1)]
    platforms += [f"{name}_{arch}" for name in LEGACY[arch]]
    options = [word for platform in platforms for word in ("--platform", platform)]
    options += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    pip("download", "--dest", str(wheels), "--find-links", str(wheels), *options, *wanted)


def find_missing(wheels: Path, arch: str, python: str) -> Iterator[str]:
    """Yield what is needed under another Python than this one: pip evaluates conditions for the one that runs it."""
    target = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": arch,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    paths = list(wheels.glob("*.whl"))
    have = {canonicalize_name(path.name.split("-")[0]) for path in paths}
    needed = {"airmem": {""}}
    requirements = {canonicalize_name(path.name.split("-")[0]): read_requirements(path) for path in paths}
    pending = ["airmem"]
    while pending:
        name = pending.pop()
        for one in requirements.get(canonicalize_name(name), ()):
            if one.marker and not any(one.marker.evaluate({**target, "extra": extra}) for extra in needed[name]):
                continue
            other = canonicalize_name(one.name)
            if other not in have:
                one.marker = None
                yield str(one)
            elif not ({"", *one.extras} <= needed.get(other, set())):
                needed.setdefault(other, set()).update({"", *one.extras})
                pending.append(other)


def read_requirements(wheel: Path) -> list[Requirement]:
    """Return what a wheel says that it needs."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.parser.Parser().parsestr(archive.read(name).decode())
    return [Requirement(line) for line in metadata.get_all("Requires-Dist") or ()]


def try_archive(archive: Path, folder: Path) -> None:
    """Install from the archive into an empty folder without an index, and run airmem."""
    shutil.unpack_archive(archive, folder)
    variables = {"PATH": os.environ["PATH"], "PIP_NO_INDEX": "1", "HOME": str(folder), "PYTHON": sys.executable}
    installer = next(folder.glob("airmem-*/install.sh"))
    for mode in ([], ["--target"]):
        place = folder / ("plain" if mode else "environment")
        run(["sh", str(installer), *mode, str(place)], variables)
        version = run([str(place / "bin" / "airmem"), "--version"], variables).strip()
        shown = run([str(place / "bin" / "airmem"), "ps"], variables)
        print(f"tried: install.sh {' '.join([*mode, 'FOLDER'])}: {version}; ps prints {len(shown.splitlines())} lines")


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode = 0o755 if entry.isdir() or entry.name.endswith(".sh") else 0o644
    return entry


def pip(*arguments: str) -> None:
    """Run pip. Errors: CommandFailed with its messages."""
    run([sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments], os.environ)


def run(command: list[str], variables: Mapping[str, str]) -> str:
    """Run a program to its end and return its output. Errors: CommandFailed with its messages."""
    done = subprocess.run(command, env=variables, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(f"{' '.join(command[:4])} ...: {done.stderr.strip()[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
