"""The world that the checks look at: control groups, process trees, a private interpreter, captures."""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

CGROUP = "/sys/fs/cgroup"
CGROUP_V1 = CGROUP + "/memory"
WORK = "/run/kernels"
OUT = WORK + "/out"
COPY = "/opt/target"
PROCESS_FILES = ("stat", "status", "cmdline", "cgroup", "maps", "smaps", "smaps_rollup")
HOST_FILES = ("proc/self/mountinfo", "proc/sys/kernel/hostname", "proc/sys/kernel/osrelease",
              "proc/sys/kernel/random/boot_id", "proc/sys/kernel/yama/ptrace_scope")  # fmt: skip
CLONE_NEWNS, CLONE_NEWCGROUP = 0x00020000, 0x02000000
READY_SECONDS = 120


def read_bytes(path):
    with open(path, "rb", buffering=0) as file:
        return b"".join(iter(lambda: file.read(1 << 16), b""))


def read(path):
    return read_bytes(path).decode()


def write(path, raw):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(raw)


def pairs(path):
    return {line.split()[0]: int(line.split()[1]) for line in read(path).splitlines() if len(line.split()) == 2}


def prepare():
    """Make the folders and the copy of the interpreter, and keep memory from moving while it is counted."""
    os.makedirs(WORK, exist_ok=True)
    os.chmod(WORK, 0o1777)
    for name, value in (("scan_sleep_millisecs", "1000000000"), ("pages_to_scan", "1")):
        with open(f"/sys/kernel/mm/transparent_hugepage/khugepaged/{name}", "w") as file:
            file.write(value)  # khugepaged gives even a frozen worker copies of its parent's pages
    copy_interpreter()


def mount_v2():
    """Mount version 2 and make the group of all targets, limited to 384 MiB."""
    run("mount", "-t", "cgroup2", "cgroup2", CGROUP)
    write(f"{CGROUP}/cgroup.subtree_control", b"+memory")
    os.mkdir(f"{CGROUP}/service")
    write(f"{CGROUP}/service/memory.max", b"%d" % (384 << 20))
    write(f"{CGROUP}/service/cgroup.subtree_control", b"+memory")


def copy_interpreter():
    """Copy Python and its libraries: airmem, mapping the same files, would change the PSS that it measures."""
    files = sorted(set(re.findall(r"(/\S+\.so\S*)", read("/proc/self/maps"))))
    os.makedirs(f"{COPY}/lib")
    for file in files:
        if "/lib-dynload/" not in file:
            shutil.copy(file, f"{COPY}/lib/" + re.sub(r"(\.so\.\d+).*", r"\1", os.path.basename(file)))
    shutil.copytree("/usr/lib/python3.11/lib-dynload", f"{COPY}/lib-dynload")
    shutil.copy("/lib64/ld-linux-x86-64.so.2", "/lib64/ld-other-x86-64.so.2")
    program = read_bytes("/usr/bin/python3.11").replace(b"/lib64/ld-linux-x86-64", b"/lib64/ld-other-x86-64", 1)
    write(f"{COPY}/python3.11", program)
    os.chmod(f"{COPY}/python3.11", 0o755)


class Target:
    """A process tree in a control group of its own; with `nested`, one worker is in a child group."""

    def __init__(self, name, uid, *, limit, nested=None, program=None, kind="zombie"):
        self.is_v1 = os.path.exists(CGROUP_V1)
        self.folder = f"{CGROUP_V1 if self.is_v1 else CGROUP}/service/{name}"
        os.makedirs(self.folder, exist_ok=True)
        if limit is not None:
            limit_file = "memory.limit_in_bytes" if self.is_v1 else "memory.max"
            write(f"{self.folder}/{limit_file}", b"%d" % limit)
        ready = f"{WORK}/{name}-{'v1' if self.is_v1 else 'v2'}.json"
        self.parent = start(program or [f"{COPY}/python3.11", "/opt/kernels/target.py", ready, kind], uid, self.folder)
        self.workers, self.zombie = [], None
        if program is None:
            found = json.loads(wait_for(ready))
            self.workers, self.zombie = found["workers"], found["zombie"]
        if nested is not None:
            os.mkdir(f"{self.folder}/nested")
            write(f"{self.folder}/nested/cgroup.procs", b"%d" % self.workers[nested])

    @property
    def living(self):
        return [self.parent, *self.workers]

    def freeze(self):
        write(f"{self.folder}/cgroup.freeze", b"1")

    def end(self):
        for pid in self.living:
            os.kill(pid, signal.SIGKILL)
        if os.path.exists(f"{self.folder}/cgroup.freeze"):
            write(f"{self.folder}/cgroup.freeze", b"0")
        while True:
            try:
                os.waitpid(self.parent, 0)
            except ChildProcessError:
                break
        remove(self.folder)


def remove(folder):
    for name in os.listdir(folder):
        if os.path.isdir(f"{folder}/{name}"):
            remove(f"{folder}/{name}")
    for _ in range(100):
        try:
            os.rmdir(folder)
        except OSError:
            time.sleep(0.1)
        else:
            return


def start(command, uid, group):
    """Start a program as a user in a control group and return its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            write(f"{group}/cgroup.procs", b"0")
            os.setsid()
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            paths = {"LD_LIBRARY_PATH": f"{COPY}/lib", "PYTHONPATH": f"{COPY}/lib-dynload", "PYTHONHOME": "/usr"}
            os.execve(command[0], command, {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"} | paths)
        except OSError as problem:
            print(command, problem, file=sys.stderr, flush=True)
        finally:
            os._exit(1)
    return pid


def wait_for(path):
    for _ in range(READY_SECONDS * 10):
        if os.path.exists(path):
            return read(path)
        time.sleep(0.1)
    raise AssertionError(f"{path} never came")


def oom_kill(name):
    """Have the kernel kill a process that asks for more than its group may have."""
    folder = f"{CGROUP}/service/{name}"
    os.makedirs(folder)
    write(f"{folder}/memory.max", b"%d" % (24 << 20))
    write(f"{folder}/memory.swap.max", b"0")
    code = "block = b'x' * (64 << 20)"
    _, status = os.waitpid(start(["/usr/bin/python3", "-c", code], 0, folder), 0)
    assert os.WIFSIGNALED(status), f"status {status:#x}"
    assert os.WTERMSIG(status) == signal.SIGKILL, f"status {status:#x}"
    assert pairs(f"{folder}/memory.events")["oom_kill"] == 1, read(f"{folder}/memory.events")


def capture(target, small):
    """Copy the files of a tree, of its groups and of the host, as a tree of the same paths."""
    root = f"{OUT}/capture"
    for pid in target.living:
        for name in PROCESS_FILES:
            write(f"{root}/proc/{pid}/{name}", read_bytes(f"/proc/{pid}/{name}"))
    for pid, names in ((target.zombie, ("stat", "status", "cmdline", "cgroup")), (small.parent, ("stat", "cgroup"))):
        for name in names:
            write(f"{root}/proc/{pid}/{name}", read_bytes(f"/proc/{pid}/{name}"))
    for name in HOST_FILES:
        if os.path.exists("/" + name):
            write(f"{root}/{name}", read_bytes("/" + name))
    groups = (f"{CGROUP}/service", target.folder, f"{target.folder}/nested", small.folder)
    for folder in groups:
        for name in sorted(os.listdir(folder)):
            is_wanted = name.startswith("memory.") and name not in ("memory.numa_stat", "memory.pressure")
            if is_wanted or name in ("cgroup.procs", "cgroup.controllers", "cgroup.subtree_control"):
                try:
                    write(f"{root}{folder}/{name}", read_bytes(f"{folder}/{name}"))
                except OSError:
                    continue  # memory.reclaim can only be written
    tree = {"parent": target.parent, "workers": target.workers, "zombie": target.zombie, "killed_beside": small.parent}
    write(f"{root}/tree.json", json.dumps(tree).encode() + b"\n")


def in_cgroup_namespace(group, work):
    """Run `work` in a child whose control group namespace begins at `group`, with that mounted alone."""
    pid = os.fork()
    if pid == 0:
        try:
            write(f"{group}/cgroup.procs", b"0")
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS | CLONE_NEWCGROUP):
                raise OSError(ctypes.get_errno(), "unshare")
            run("umount", CGROUP)
            run("mount", "-t", "cgroup2", "cgroup2", CGROUP)
            work()
            os._exit(0)
        except BaseException as problem:
            write(f"{WORK}/namespace", repr(problem).encode())
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert status == 0, read(f"{WORK}/namespace")


def remount_proc(options):
    run("mount", "-o", f"remount,{options}", "/proc")


def mount_v1():
    """Mount version 1 of the memory controller, beside an empty version 2; False if the kernel has none."""
    run("mount", "-t", "tmpfs", "tmpfs", CGROUP)
    os.mkdir(CGROUP_V1)
    if subprocess.run(["mount", "-t", "cgroup", "-o", "memory", "cgroup", CGROUP_V1], check=False).returncode:
        return False
    os.mkdir(f"{CGROUP}/unified")
    run("mount", "-t", "cgroup2", "cgroup2", f"{CGROUP}/unified")
    if os.path.exists(f"{CGROUP_V1}/memory.use_hierarchy"):
        write(f"{CGROUP_V1}/memory.use_hierarchy", b"1")
    os.mkdir(f"{CGROUP_V1}/service")
    write(f"{CGROUP_V1}/service/memory.limit_in_bytes", b"%d" % (384 << 20))
    return True


def run(*command):
    subprocess.run(command, check=True)
