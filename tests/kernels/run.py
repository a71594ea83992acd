#!/usr/bin/env python3
"""Run airmem on other kernels: Debian's, in a virtual machine that QEMU emulates (no KVM, no network, no root needed).

    tests/kernels/run.py [--work FOLDER] [--captures FOLDER] [SUITE ...]

SUITE is a Debian release (bullseye: Linux 5.10, bookworm: 6.1, trixie: 6.12, sid: the newest). Needs
qemu-system-x86_64, apt-get and dpkg-deb. Packages come from the mirror that apt is set up with, into FOLDER and
nowhere else. Each machine boots from an initramfs, runs guest/check.py and answers over its second serial port.
With --captures the files read there replace tests/captures/kernel-VERSION.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
SUITES = ("bullseye", "bookworm", "trixie", "sid")
UNSTABLE = "sid"
"""The one release without security updates of its own."""
ROOT_SUITE = "bookworm"
ROOT_PACKAGES = ("busybox-static", "libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libffi8", "libssl3",
                 "libbz2-1.0", "liblzma5", "libuuid1", "python3.11-minimal", "libpython3.11-minimal",
                 "libpython3.11-stdlib")  # fmt: skip
WHEELS = ("numpy", "click")
UNNEEDED = ("usr/share", "usr/lib/python3.11/test", "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/python3.11/ensurepip")
BOOT_SECONDS = 1500
CPU = "Nehalem"
"""Without AVX2, which QEMU 7.2 emulates wrongly: numpy sorts with it, and its sorted arrays were not sorted."""
OPTIONS = "console=ttyS0 rdinit=/init panic=-1 loglevel=4 rootfstype=ramfs"
"""With tmpfs as its root the machine would count every file as shared memory."""


class Suite:
    """One Debian release, with an apt of its own below the work folder."""

    def __init__(self, name: str, work: Path) -> None:
        self.name = name
        self.folder = work / "apt" / name
        for part in ("state/lists/partial", "cache/archives/partial", "packages"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        main, security = mirrors()
        lines = [f"deb {main} {name} main", *([f"deb {security} {name}-security main"] if name != UNSTABLE else [])]
        (self.folder / "sources.list").write_text("".join(line + "\n" for line in lines))
        self.apt("apt-get", "-qq", "update")

    def apt(self, program: str, *arguments: str) -> str:
        options = {
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": self.folder / "state",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": self.folder / "cache",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return output(program, *words, *arguments, cwd=self.folder / "packages")

    def unpack(self, packages: list[str], root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        for old in (self.folder / "packages").glob("*.deb"):
            old.unlink()
        self.apt("apt-get", "-qq", "download", *packages)
        for package in sorted((self.folder / "packages").glob("*.deb")):
            output("dpkg-deb", "-x", str(package), str(root))
            package.unlink()

    def kernel(self) -> str:
        """Return the package of the newest kernel."""
        found = re.search(r"Depends: (linux-image-\d\S+)", self.apt("apt-cache", "depends", "linux-image-amd64"))
        if not found:
            raise SystemExit(f"{self.name}: no kernel package")
        return found[1]


def output(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


def mirrors() -> tuple[str, str]:
    """Return Debian's main and security archives as apt is set up here."""
    sites = dict.fromkeys(output("apt-get", "indextargets", "--format", "$(SITE) $(LABEL)").splitlines())
    main = next((site.split()[0] for site in sites if site.endswith(" Debian")), None)
    security = next((site.split()[0] for site in sites if site.endswith(" Debian-Security")), None)
    if main is None:
        raise SystemExit("apt is not set up with a mirror of Debian: run this on Debian, after apt-get update")
    return main, security or main.rstrip("/") + "-security"


def build_root(work: Path) -> Path:
    """Return the initramfs with Python, numpy and busybox: the same for all kernels."""
    archive, root = work / "root.cpio.gz", work / "root"
    if archive.exists():
        return archive
    shutil.rmtree(root, ignore_errors=True)
    (root / "bin").mkdir(parents=True)
    Suite(ROOT_SUITE, work).unpack(list(ROOT_PACKAGES), root)
    for name in UNNEEDED:
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "usr/bin/python3").symlink_to("python3.11")
    platforms = [f"--platform=manylinux{version}_x86_64" for version in ("_2_28", "_2_27", "2014")]
    output(sys.executable, "-m", "pip", "-qq", "install", "--target", str(root / "opt/site"), "--only-binary=:all:",
           "--python-version=3.11", *platforms, *WHEELS)  # fmt: skip
    for tests in (root / "opt/site").rglob("tests"):
        shutil.rmtree(tests)
    pack(root, archive)
    return archive


def build_kernel(suite: Suite, work: Path) -> tuple[str, Path, Path]:
    """Return the version, the image and the initramfs part of a release's newest kernel."""
    package = suite.kernel()
    version = package.removeprefix("linux-image-")
    folder = work / version
    image, archive = folder / "vmlinuz", folder / "part.cpio.gz"
    if not image.exists():
        needed = suite.apt("apt-cache", "depends", package)
        parts = re.findall(r"Depends: (linux-(?:base|binary|modules)-\d\S+)", needed)
        suite.unpack([package, *parts], folder / "package")
        found(folder / "package", "boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz").rename(image)
        found(folder / "package", "boot/config-*", "usr/lib/modules/*/config").rename(folder / "config")
        (folder / "modules").mkdir(exist_ok=True)
        for module in (folder / "package").rglob("brd.ko*"):
            raw = module.read_bytes()
            (folder / "modules/brd.ko").write_bytes(lzma.decompress(raw) if module.suffix == ".xz" else raw)
        shutil.rmtree(folder / "package")
    part = folder / "part"
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(folder / "modules", part / "modules")
    shutil.copytree(PROJECT / "airmem", part / "opt/site/airmem", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE / "guest", part / "opt/kernels")
    (part / "opt/kernels/init").rename(part / "init")
    (part / "init").chmod(0o755)
    pack(part, archive)
    return version, image, archive


def found(root: Path, *patterns: str) -> Path:
    """Return the one file at one of these places: it moved with Debian 14."""
    return next(path for pattern in patterns for path in root.glob(pattern))


def pack(root: Path, archive: Path) -> None:
    """Write a folder as a compressed cpio archive whose files belong to root."""
    names = "".join(f"{path.relative_to(root)}\0" for path in sorted(root.rglob("*"))).encode()
    command = ["cpio", "--null", "--create", "--quiet", "--format=newc", "--owner=0:0"]
    done = subprocess.run(command, cwd=root, input=names, check=True, stdout=subprocess.PIPE)
    archive.write_bytes(gzip.compress(done.stdout, 1))


def boot(version: str, image: Path, parts: list[Path], work: Path, cgroup: str) -> Path:
    """Run one machine, with version 2 or 1 of control groups, to its end and return the folder with what it sent."""
    folder = work / version / cgroup
    folder.mkdir(exist_ok=True)
    initramfs, answer, results = folder / "initramfs", folder / "answer.tar.gz", folder / "results"
    with open(initramfs, "wb") as file:
        for part in parts:
            file.write(part.read_bytes() + bytes(-part.stat().st_size % 4))
    shutil.rmtree(results, ignore_errors=True)
    answer.unlink(missing_ok=True)
    command = ["nice", "-n", "19", "qemu-system-x86_64", "-accel", "tcg", "-cpu", CPU, "-smp", "1", "-m", "1500",
               "-nodefaults", "-no-reboot", "-display", "none", "-net", "none", "-kernel", str(image),
               "-initrd", str(initramfs), "-append", f"{OPTIONS} cgroup={cgroup}",
               "-serial", f"file:{folder}/console.log", "-serial", f"file:{answer}"]  # fmt: skip
    subprocess.run(command, check=True, timeout=BOOT_SECONDS)
    try:
        with tarfile.open(answer) as archive:
            archive.extractall(results)
    except (tarfile.TarError, EOFError, OSError) as problem:
        raise SystemExit(f"{version}: no answer ({problem}); see {folder}/console.log") from problem
    initramfs.unlink()
    return results


def keep(results: Path, suite: str, version: str, captures: Path) -> None:
    """Replace the capture of a kernel in the repository by the new one."""
    short = ".".join(version.split(".")[:2])
    target = captures / f"kernel-{short}"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(results / "capture", target)
    origin = (HERE / "ORIGIN.md.in").read_text()
    for word, value in (("{version}", version), ("{short}", short), ("{suite}", suite)):
        origin = origin.replace(word, value)
    (target / "ORIGIN.md").write_text(origin)


def table(checks: dict[str, dict[str, str]]) -> str:
    """Return the table of what works: a line a check, a column a kernel."""
    names = list(dict.fromkeys(name for one in checks.values() for name in one))
    width = max(map(len, names))
    heads = {version: max(len(version), 4) for version in checks}
    lines = [" | ".join(["check".ljust(width), *(version.ljust(size) for version, size in heads.items())])]
    for name in names:
        words = [checks[version].get(name, "-").split(":")[0].ljust(size) for version, size in heads.items()]
        lines.append(" | ".join([name.ljust(width), *words]))
    for version, one in checks.items():
        lines += [f"{version}: {name}: {word}" for name, word in one.items() if word != "ok"]
    return "\n".join(lines)


def main() -> int:
    """Run the kernels that were asked for and print the table; 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=" ".join(SUITES))
    parser.add_argument("--work", type=Path, default=PROJECT / "build" / "kernels")
    parser.add_argument("--captures", type=Path)
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    root = build_root(work)
    checks = {}
    for name in options.suites or SUITES:
        version, image, part = build_kernel(Suite(name, work), work)
        print(f"{name}: booting Linux {version}", flush=True)
        checks[version] = {}
        for cgroup in ("v2", "v1"):
            results = boot(version, image, [root, part], work, cgroup)
            checks[version] |= json.loads((results / "checks.json").read_text())
            if options.captures and cgroup == "v2":
                keep(results, name, version, options.captures)
    print(table(checks))
    return int(any(word.startswith("FAILED") for one in checks.values() for word in one.values()))


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
