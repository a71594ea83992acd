"""Each row of docs/permissions.md: what works works, what does not names its cause, and the printed remedy helps."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import PROGRAMS, Start
from tests.live.permission import DEPTHS, Done, Toolbox, contained_root, hiding, kernel_release, make_toolbox, user
from tests.live.tree import Target, wait_until

USER = user(50000, 0)
READABLE, HIDDEN = "", "hidepid"
APPLIED = ("rollup", "pages")
"""At these depths the remedy is applied; at the others it must be the same line with another depth."""


@dataclass(frozen=True)
class Row:
    """Who looks at whom, and what comes of it: why PSS is refused (empty: it is not), whether sharing shows."""

    name: str
    looker: tuple[str, ...]
    target: tuple[str, ...]
    refusal: str = READABLE
    frames: bool = False
    undumpable: bool = False
    hidepid: int = 0

    @property
    def place(self) -> list[str]:
        """The prefix of everything that runs where the looker is."""
        return hiding(self.hidepid) if self.hidepid else []


def row(name: str, looker: list[str], target: list[str], refusal: str = READABLE, **more: Any) -> Any:
    """Return a parameter of the test below."""
    return pytest.param(Row(name, tuple(looker), tuple(target), refusal, **more), id=name.replace(" ", "-"))


@dataclass(frozen=True)
class Scene:
    """A row that is being played."""

    toolbox: Toolbox
    row: Row
    target: Target
    refusal: str


ROWS = [
    row("root", [], USER, frames=True),
    row("root, not dumpable", [], USER, frames=True, undumpable=True),
    row("same uid", USER, USER),
    row("same uid, not dumpable", USER, USER, "not_dumpable", undumpable=True),
    row("same uid, other gid", user(50000, 50000), USER, "other_group"),
    row("same uid, target with more capabilities", USER, user(50000, 0, "net_raw"), "more_capabilities"),
    row("other uid", user(1001), USER, "other_user"),
    row("other uid, not dumpable", user(1001), USER, "not_dumpable", undumpable=True),
    row("a user looks at root", user(1001), [], "other_user"),
    row("same uid, no new privileges", [*USER, "--no-new-privs"], USER),
    row("other uid, no new privileges", [*user(1001), "--no-new-privs"], USER, "other_user"),
    row("container root", contained_root(), USER, "other_user"),
    row("container root, not dumpable", contained_root(), USER, "not_dumpable", undumpable=True),
    row("container root looks at its like", contained_root(), contained_root()),
    row("container root looks at root with more", contained_root(), [], "more_capabilities"),
    row("container root + SYS_PTRACE", contained_root("sys_ptrace"), USER),
    row("container root + SYS_PTRACE, not dumpable", contained_root("sys_ptrace"), USER, undumpable=True),
    row("container root + PERFMON", contained_root("perfmon"), USER),
    row("container root + PERFMON, not dumpable", contained_root("perfmon"), USER, undumpable=True),
    row("container root + SYS_ADMIN", contained_root("sys_admin"), USER, frames=True),
    row("container root + both", contained_root("sys_admin", "sys_ptrace"), USER, frames=True),
    row("a user + SYS_PTRACE", user(1001, 1001, "sys_ptrace"), USER),
    row("a user + PERFMON", user(1001, 1001, "perfmon"), USER),
    row("child user namespace looks out at a user", ["unshare", "-Ur"], USER, "user_namespace"),
    row("child user namespace looks out at root", ["unshare", "-Ur"], [], "user_namespace"),
    row("hidepid=1, same uid", USER, USER, hidepid=1),
    row("hidepid=2, same uid", USER, USER, hidepid=2),
    row("hidepid=1, other uid", user(1001), USER, HIDDEN, hidepid=1),
    row("hidepid=2, other uid", user(1001), USER, HIDDEN, hidepid=2),
    row("hidepid=2, other uid of group 0", user(1001, 0), USER, "other_user", hidepid=2),
    row("hidepid=2, container root", contained_root(), USER, "other_user", hidepid=2),
    row("hidepid=4, container root", contained_root(), USER, HIDDEN, hidepid=4),
]


@pytest.fixture(scope="session")
def toolbox(private_python: list[str], public_folder: Path) -> Toolbox:
    return make_toolbox(public_folder / "toolbox", private_python, PROGRAMS)


@pytest.fixture
def rest_as(start: Start, toolbox: Toolbox) -> Any:
    """Start a resting process as somebody."""

    def run(prefix: list[str], undumpable: bool = False) -> Target:
        program = str(toolbox.folder / "programs/resting.py")
        return start(command=[*prefix, *toolbox.python, program, *["undumpable"] * undumpable])

    return run


@pytest.mark.parametrize("row", ROWS)
def test_a_row(row: Row, superuser: None, toolbox: Toolbox, rest_as: Any) -> None:
    if row.hidepid and kernel_release() < (5, 8):
        pytest.skip("needs Linux 5.8, where hidepid belongs to one mount of /proc")
    target = rest_as([*row.target], row.undumpable)
    looker = [*row.place, *row.looker]
    refusal = row.refusal
    if not toolbox.can_read(looker, target.pid) and refusal == READABLE and kernel_release() < (6, 15):
        refusal = "not_dumpable" if row.undumpable else "other_user"  # CAP_PERFMON opens nothing yet
    assert toolbox.can_read(looker, target.pid) == (refusal == READABLE)
    check_doctor(toolbox, looker, target, refusal, row.frames)
    scene = Scene(toolbox, row, target, refusal)
    for depth in DEPTHS:
        check_pss(scene, depth)
    check_ps(toolbox, looker, target, refusal)


def check_doctor(toolbox: Toolbox, looker: list[str], target: Target, refusal: str, frames: bool) -> None:
    """airmem doctor answers everywhere, and says what pss will do."""
    done = toolbox.run(looker, "doctor", target.pid, "--format", "json", "--fail-on", "warning")
    assert done.status == (refusal != READABLE), done.errors
    works = {one["depth"]: one for one in done.answer["commands"] if one["command"] == "pss"}
    assert works["status"]["possible"] is (refusal != HIDDEN)
    for depth in ("rollup", "mappings"):
        assert works[depth]["possible"] is (refusal == READABLE), works[depth]
        assert works[depth]["reason"] == refusal
    assert works["pages"]["possible"] is (frames and refusal == READABLE), works["pages"]
    assert works["exclusive"]["possible"] is (frames and refusal == READABLE), works["exclusive"]


def check_pss(scene: Scene, depth: str) -> None:
    """airmem pss reads to the depth that is asked for, or says why not, and the remedy makes it so."""
    row, refusal = scene.row, scene.refusal
    done = scene.toolbox.run([*row.place, *row.looker], "pss", scene.target.pid, "--depth", depth, "--format", "json")
    if refusal == HIDDEN:
        assert (done.status, done.output) == (4, "")
        assert "hidepid" in done.errors
        assert_helps(scene, done.errors.splitlines()[1].strip(), depth)
        return
    if depth == "status" or refusal == READABLE:
        assert done.status == 0, done.errors
    else:
        gap = done.gap("pss_bytes")
        assert (done.status, gap["reason"]) == (4, refusal)
        assert done.errors == f"airmem: {gap['detail']}\n  {gap['remedy']}\n"
        assert_helps(scene, gap["remedy"], depth)
    if depth == "pages" and not row.frames:
        gap = done.gap("sharing")
        assert gap["reason"] == "no_page_frames"
        assert_helps(scene, gap["remedy"], depth, with_sharing=True)


def check_ps(toolbox: Toolbox, looker: list[str], target: Target, refusal: str) -> None:
    """airmem ps lists what it can; a hidden process is no dead one."""
    assert toolbox.run(looker, "ps").status == 0
    done = toolbox.run(looker, "ps", target.pid, "--format", "json")
    if refusal == HIDDEN:
        assert (done.status, "hidepid" in done.errors) == (4, True)
    else:
        assert done.status == 0
        assert done.answer["services"][0]["pid"] == target.pid


def assert_helps(scene: Scene, remedy: str, depth: str, with_sharing: bool = False) -> None:
    """The line that a remedy ends in makes the command work: where the looker is, or as the root that sudo gives."""
    line = remedy.rpartition(": ")[2]
    assert f"airmem pss {scene.target.pid}" in line, remedy
    assert (f"--depth {depth}" in line) == (depth != "auto")
    if depth not in APPLIED:
        return
    place = scene.row.place
    prefix = [*place, *scene.row.looker] if line.startswith("setpriv") else place
    helped = scene.toolbox.apply(prefix, f"{line} --format json")
    assert helped.status == 0, helped.errors
    assert helped.gap("pss_bytes") is None
    assert helped.answer["processes"][0]["pss_bytes"] > 0
    assert not with_sharing or helped.answer["processes"][0]["sharing"] is not None


def test_inside_a_user_namespace_its_own_processes_can_be_read(superuser: None, toolbox: Toolbox, rest_as: Any) -> None:
    target = rest_as(["unshare", "-Ur"])
    looker = ["nsenter", "-U", "-t", str(target.pid), "--preserve-credentials"]
    assert toolbox.can_read(looker, target.pid)
    check_doctor(toolbox, looker, target, READABLE, frames=False)
    done = toolbox.run(looker, "pss", target.pid, "--format", "json")
    assert done.status == 0
    line = done.gap("sharing")["remedy"].rpartition(": ")[2]
    assert toolbox.apply([], f"{line} --format json").gap("sharing") is None


@pytest.mark.parametrize("looker", [[], USER, contained_root(), ["unshare", "-Ur"], [*hiding(2), *user(1001)]])
def test_doctor_without_a_target(looker: list[str], toolbox: Toolbox, superuser: None) -> None:
    if "unshare" in looker and kernel_release() < (5, 8):
        pytest.skip("needs Linux 5.8, where hidepid belongs to one mount of /proc")
    done = toolbox.run(looker, "doctor", "--format", "json")
    assert (done.status, done.answer["target"]) == (0, None)
    works = {one["depth"]: one["possible"] for one in done.answer["commands"] if one["command"] == "pss"}
    assert works["rollup"] == (True if looker in ([], ["unshare", "-Ur"]) else "partly")
    assert works["pages"] is (looker == [])


def test_a_process_that_is_gone_is_gone(toolbox: Toolbox, superuser: None) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    for prefix in ([], USER):
        assert toolbox.run(prefix, "doctor", ended.pid).status == 3


def test_doctor_finds_the_python_of_a_target(toolbox: Toolbox, superuser: None, rest_as: Any) -> None:
    import sys

    answer = toolbox.run([], "doctor", rest_as(USER).pid, "--format", "json").answer
    assert answer["target"]["python_version"] == f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def container(toolbox: Toolbox, public_folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Run a container without image and network: uid 50000, not dumpable. Yields its name and the prefix for podman."""
    if shutil.which("podman") is None or shutil.which("setpriv") is None:
        pytest.skip("needs podman and crun (apt-get install podman crun)")
    root = make_root(public_folder / "container")
    holder = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sleep", "600"])
    try:
        inside = ["nsenter", "-m", "-t", str(holder.pid)]
        wait_for_namespace(holder.pid)
        # crun refuses a mixed hierarchy of control groups; what is hidden in this mount namespace it does not see
        subprocess.run([*inside, "umount", "/sys/fs/cgroup/unified"], capture_output=True, check=False)
        podman = [*inside, "podman"]
        options = ["--ulimit", "nofile=1024:4096", "--ulimit", "nproc=4096:8192", "--cgroups=disabled",
                   "--network=none", "-v", "/usr:/usr:ro", "-v", f"{toolbox.folder.parent}:{toolbox.folder.parent}:ro",
                   "-u", "50000:0"]  # fmt: skip
        command = [*toolbox.python, str(toolbox.folder / "programs/resting.py"), "undumpable"]
        run = [*podman, "run", "-d", "-i", *options, "--rootfs", str(root), *command]
        started = subprocess.run(run, capture_output=True, text=True, check=False)
        name = started.stdout.strip()[:12]
        if started.returncode:
            pytest.skip(f"podman cannot run a container here: {started.stderr.strip()[:200]}")
        try:
            yield name, inside
        finally:
            subprocess.run([*podman, "rm", "-f", "-t", "0", name], capture_output=True, check=False)
    finally:
        holder.kill()
        holder.wait()


def make_root(folder: Path) -> Path:
    """Make an empty root that shows this machine's programs."""
    for name in ("usr", "etc", "proc", "sys", "dev", "tmp", "run"):
        (folder / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (folder / name).symlink_to(f"usr/{name}")
    (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nservice:x:50000:0::/tmp:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\n")
    return folder


def wait_for_namespace(pid: int) -> None:
    """Wait until a process has left this mount namespace."""
    wait_until(lambda: os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt"), "a mount namespace")


def in_container(container: tuple[str, list[str]], toolbox: Toolbox, user_id: int, line: str) -> Done:
    """Run a line in the container as somebody."""
    name, inside = container
    path = f"PATH={toolbox.path}"
    return toolbox.apply(inside, f"podman exec -e {path} -u {user_id} {name} {line} --format json")


@pytest.mark.parametrize(("user_id", "refusal"), [(50000, "not_dumpable"), (0, "not_dumpable")])
def test_in_a_container(superuser: None, container: Any, toolbox: Toolbox, user_id: int, refusal: str) -> None:
    done = in_container(container, toolbox, user_id, "airmem doctor 1")
    assert done.status == 0, done.errors
    assert done.answer["environment"]["place"]["kind"] == "podman"
    (rollup,) = [one for one in done.answer["commands"] if one["depth"] == "rollup"]
    assert rollup["reason"] == refusal
    done = in_container(container, toolbox, user_id, "airmem pss 1")
    assert done.status == 4
    remedy = done.gap("pss_bytes")["remedy"]
    assert f"podman exec --privileged -u 0 {container[0]} airmem pss 1" in remedy
    line = remedy.rpartition(": ")[2].replace("exec ", f"exec -e PATH={toolbox.path} ")
    helped = toolbox.apply(container[1], f"{line} --format json")
    assert helped.status == 0, helped.errors
    assert helped.gap("pss_bytes") is None
