"""Runs in the virtual machine as root: starts process trees in control groups, captures them, runs airmem on them.

Everything that airmem says is compared with the files of the kernel, read here without airmem. Sends a tar file
(checks.json, answers/, capture/) over the second serial port.
"""

import io
import json
import os
import subprocess
import tarfile
import time
import traceback
import tty

import world
from world import CGROUP, OUT, Target, read, read_bytes, write

USER = 1000
NOT_MEASURABLE, GONE, DENIED = 5, 3, 4
KB = 1024
FIELDS = {"rss_bytes": "Rss", "pss_bytes": "Pss", "private_clean_bytes": "Private_Clean", "swap_pss_bytes": "SwapPss",
          "private_dirty_bytes": "Private_Dirty", "shared_clean_bytes": "Shared_Clean", "swap_bytes": "Swap",
          "shared_dirty_bytes": "Shared_Dirty", "pss_anon_bytes": "Pss_Anon", "pss_file_bytes": "Pss_File",
          "pss_shmem_bytes": "Pss_Shmem"}  # fmt: skip
ROUNDING = {"Pss": KB, "Pss_File": KB}
"""Every process of the machine, so airmem, too, maps the kernel's [vdso], and from Linux 7 on counts its [vvar]."""
CHECKS: dict[str, str] = {}


def check(name, work, *arguments):
    """Keep what `work` answers: ok, or `no: ...` where the kernel lacks it; FAILED if it raises."""
    try:
        CHECKS[name] = work(*arguments) or "ok"
    except Exception as problem:
        place = traceback.extract_tb(problem.__traceback__)[-1].lineno
        CHECKS[name] = f"FAILED: {type(problem).__name__} {problem} (line {place})"
    print(f"{time.monotonic():6.1f} s  {name}: {CHECKS[name]}", flush=True)


def airmem(name, uid, *arguments):
    """Run airmem as a user, keep its answer, and return (exit status, document or None, stderr)."""
    command = ["/usr/bin/python3", "-m", "airmem", "pss", *map(str, arguments), "--format", "json"]
    done = subprocess.run(command, capture_output=True, user=uid, group=uid, extra_groups=[], check=False, cwd="/tmp")
    write(f"{OUT}/answers/{name}.json", done.stdout)
    write(f"{OUT}/answers/{name}.err", done.stderr + b"\nexit status %d\n" % done.returncode)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr.decode()


def answer(name, uid, *arguments):
    status, document, problem = airmem(name, uid, *arguments)
    assert status == 0, f"exit status {status}: {problem}"
    return document


def rows(raw):
    """Return the kB of smaps_rollup or of one mapping of smaps by name."""
    words = [line.split() for line in raw.splitlines()]
    return {one[0][:-1]: int(one[1]) * KB for one in words if len(one) == 3 and one[2] == "kB"}


def by_pid(document):
    return {process["pid"]: process for process in document["processes"]}


def rollup_is_exact(name, uid, target, depth):
    before = {pid: read(f"/proc/{pid}/smaps_rollup") for pid in target.living}
    document = answer(name, uid, target.parent, "--depth", depth)
    worst = 0
    for pid, raw in before.items():
        process = by_pid(document)[pid]
        for field, key in FIELDS.items():
            off = abs(process[field] - rows(raw)[key])
            assert off <= ROUNDING.get(key, 0), f"{pid} {field}: {process[field]} is not {rows(raw)[key]}"
            worst = max(worst, off)
        assert process["depth"] == depth, process["depth"]
    totals = document["tree"]
    assert totals["pss_sum_bytes"] == sum(by_pid(document)[pid]["pss_bytes"] for pid in before), "pss_sum_bytes"
    if target.zombie:
        assert by_pid(document)[target.zombie]["rss_bytes"] is None, "zombie"
    return f"ok: PSS {worst} bytes off" if worst else "ok"


def status_is_exact(name, uid, target):
    document = answer(name, uid, target.parent, "--depth", "status")
    for pid in target.living:
        fields = rows(read(f"/proc/{pid}/status"))
        assert by_pid(document)[pid]["rss_bytes"] == fields["VmRSS"], pid
        assert by_pid(document)[pid]["swap_bytes"] == fields["VmSwap"], pid
        assert by_pid(document)[pid]["pss_bytes"] is None, pid


def smaps_agrees(target):
    for pid in target.living:
        whole, mappings = rows(read(f"/proc/{pid}/smaps_rollup")), read(f"/proc/{pid}/smaps")
        count = mappings.count("VmFlags:")
        for key in ("Rss", "Pss", "Private_Dirty", "Shared_Clean", "Swap"):
            words = (line.split() for line in mappings.splitlines() if line.startswith(key + ":"))
            less = whole[key] - sum(int(word[1]) for word in words) * KB
            assert 0 <= less <= count * KB, f"{pid} {key}: smaps is {less} less, {count} mappings"


def pages_are_exact(name, target):
    document = answer(name, 0, target.parent, "--depth", "pages", "--exclusive")
    worst = 0
    for pid in target.living:
        process, account = by_pid(document)[pid], rows(read(f"/proc/{pid}/smaps_rollup"))
        assert process["depth"] == "pages", f"{pid}: {process['depth']}"
        sharing = process["sharing"]
        parts = process["uss_bytes"] + sum(sharing[one] for one in ("parent_bytes", "siblings_bytes", "outside_bytes"))
        rss = process["rss_bytes"]
        assert parts == rss == account["Rss"], f"{pid}: parts {parts}, RSS {rss}, truly {account['Rss']}"
        uss = account["Private_Clean"] + account["Private_Dirty"]
        assert process["uss_bytes"] == uss, f"{pid}: USS {process['uss_bytes']} is not {uss}"
        worst = max(worst, abs(process["pss_bytes"] - account["Pss"]))
    assert worst <= 8 * KB, f"PSS is {worst} off"
    totals = document["tree"]
    assert totals["exclusive_bytes"] is not None, document["gaps"]
    assert totals["exclusive_bytes"] <= totals["distinct_bytes"] <= totals["rss_sum_bytes"], totals
    assert document["gaps"] == [gap for gap in document["gaps"] if gap["reason"] == "zombie"], document["gaps"]


def auto_is(name, uid, target, depth):
    document = answer(name, uid, target.parent)
    assert document["depth"] == depth, f"{document['depth']}: {[gap['detail'] for gap in document['gaps']]}"


def other_user_is_bounded(name, target):
    status, document, problem = airmem(name, USER, target.parent)
    assert status == DENIED, f"{status} {problem}"
    for pid in target.living:
        process = by_pid(document)[pid]
        assert (process["depth"], process["pss_bytes"]) == ("status", None), process
        assert process["rss_bytes"] == rows(read(f"/proc/{pid}/status"))["VmRSS"], process
        assert [gap["reason"] for gap in document["gaps"] if gap["pid"] == pid] == ["other_user"], document["gaps"]
    assert document["tree"]["is_lower_bound"], "a lower bound"
    bound = document["tree"]["unreadable_bound_bytes"]
    accounts = [rows(read(f"/proc/{pid}/smaps_rollup")) for pid in target.living]
    true = sum(account["Pss_Anon"] + account["Pss_Shmem"] for account in accounts)
    assert bound is not None, f"no bound: {[gap['detail'] for gap in document['gaps'] if gap['pid'] is None]}"
    assert abs(bound - true) < 2 << 20, f"bound {bound}, true {true}"


def cgroup_is_exact(name, uid, target, version, limit):
    folder = target.folder
    document = answer(name, uid, target.parent, "--depth", "status")
    found, stat = document["tree"]["cgroup"], world.pairs(f"{folder}/memory.stat")
    assert found is not None, document["gaps"]
    if version == 2:
        usage = int(read(f"{folder}/memory.current"))
        oom = world.pairs(f"{folder}/memory.events")["oom_kill"]
        true = {"anon": stat["anon"], "file": stat["file"], "shmem": stat["shmem"], "slab": stat.get("slab")}
        inactive = stat["inactive_file"]
    else:
        usage = int(read(f"{folder}/memory.usage_in_bytes"))
        oom = world.pairs(f"{folder}/memory.oom_control")["oom_kill"]
        true = {"anon": stat["total_rss"], "file": stat["total_cache"], "shmem": stat["total_shmem"], "slab": None}
        inactive = stat["total_inactive_file"]
    true |= {"usage": usage, "working_set": max(0, usage - inactive), "limit": limit}
    wrong = {key: (found[f"{key}_bytes"], value) for key, value in true.items() if found[f"{key}_bytes"] != value}
    assert not wrong, f"(airmem, file): {wrong}"
    assert (found["version"], found["oom_kill_count"]) == (version, oom), found
    assert found["path"] == folder.removeprefix(CGROUP if version == 2 else world.CGROUP_V1), found["path"]


def oom_kill_is_told(small):
    document = answer("oom", USER, small.parent)
    assert document["tree"]["cgroup"]["oom_kill_count"] == 1, document["tree"]["cgroup"]
    assert "AM103" in [one["code"] for one in document["findings"]], document["findings"]


def ancestor_counts_for_nested(target):
    document = answer("nested", 0, target.workers[1], "--depth", "status")
    found = document["tree"]["cgroup"]
    return f"ok: counted in {found['path']}" if found else f"no: {[gap['detail'] for gap in document['gaps']]}"


def namespace(target, stranger):
    def inside():
        document = answer("namespace", 0, target.parent, "--depth", "status")
        found = document["tree"]["cgroup"]
        assert found["path"] == "/", document["gaps"]
        assert found["usage_bytes"], found
        other = answer("namespace-stranger", 0, stranger.parent, "--depth", "status")
        assert other["tree"]["cgroup"] is None, other["tree"]["cgroup"]
        assert "cgroup_not_mounted" in [gap["reason"] for gap in other["gaps"]], other["gaps"]

    world.in_cgroup_namespace(target.folder, inside)


def odd_processes(target):
    expected = {"zombie": (target.zombie, NOT_MEASURABLE), "kthread": (2, NOT_MEASURABLE), "gone": (4_000_000, GONE)}
    for name, (pid, expected_status) in expected.items():
        status, _, problem = airmem(name, 0, pid, "--depth", "status")
        assert status == expected_status, f"{name}: {status} {problem}"


def hidepid(target, own):
    world.remount_proc("hidepid=2")
    try:
        status, _, problem = airmem("hidepid", USER, target.parent)
        assert status == DENIED, f"{status} {problem}"
        assert "hidepid" in problem, problem
        answer("hidepid-own", USER, own.parent, "--depth", "rollup")
        status, _, problem = airmem("hidepid-init", USER, 1)
        assert status == DENIED, f"{status} {problem}"
    finally:
        world.remount_proc("hidepid=0")


def user_reads_the_same(target):
    for pid in target.living:
        for name in ("smaps_rollup", "smaps", "maps", "cgroup", "cmdline"):
            command = ["/bin/busybox", "cat", f"/proc/{pid}/{name}"]
            done = subprocess.run(command, stdout=subprocess.PIPE, user=USER, group=USER, extra_groups=[], check=True)
            assert done.stdout == read_bytes(f"/proc/{pid}/{name}"), f"{pid} {name}"


def look(app, root, plain, small):
    check("smaps sums to smaps_rollup", smaps_agrees, app)
    check("uid 1000 reads the same bytes", user_reads_the_same, app)
    for who, uid in (("root", 0), ("user", USER)):
        for depth in ("rollup", "mappings"):
            check(f"{who}: {depth} exact", rollup_is_exact, f"{who}-{depth}", uid, app, depth)
        check(f"{who}: status exact", status_is_exact, f"{who}-status", uid, app)
        check(f"{who}: cgroup v2 exact", cgroup_is_exact, f"{who}-cgroup", uid, app, 2, 128 << 20)
    check("root: auto is pages", auto_is, "root-auto", 0, app, "pages")
    check("root: pages exact", pages_are_exact, "root-pages", app)
    check("root: pages exact, no huge page", pages_are_exact, "root-pages-plain", plain)
    check("user: auto is rollup", auto_is, "user-auto", USER, app, "rollup")
    check("root: rollup of root's tree", rollup_is_exact, "root-on-root", 0, root, "rollup")
    check("user: another's tree, bounded", other_user_is_bounded, "user-on-plain", plain)
    check("user: bounded beside a zombie", other_user_is_bounded, "user-on-root", root)
    check("limit of the group above", cgroup_is_exact, "above", 0, root, 2, 384 << 20)
    check("OOM kill told", oom_kill_is_told, small)
    check("group without the controller", ancestor_counts_for_nested, app)
    check("private cgroup namespace", namespace, root, app)
    check("zombie, kernel thread, gone", odd_processes, app)
    check("hidepid=2", hidepid, root, app)


def unified():
    world.mount_v2()
    app = Target("app", USER, limit=128 << 20, nested=1)
    root, plain = Target("root", 0, limit=None), Target("plain", 0, limit=None, kind="plain")
    check("OOM kill made", world.oom_kill, "small")
    small = Target("small", USER, limit=None, program=["/bin/sleep", "100000"])
    time.sleep(3)  # the kernel adds up memory.stat every two seconds
    app.freeze()
    check("captured", world.capture, app, small)
    look(app, root, plain, small)


def hybrid():
    if not world.mount_v1():
        CHECKS["root: cgroup v1 exact"] = "no: this kernel has no version 1 of the memory controller"
        return
    app, plain = Target("app", USER, limit=128 << 20), Target("plain", 0, limit=None, kind="plain")
    time.sleep(3)
    check("root: cgroup v1 exact", cgroup_is_exact, "v1-root", 0, app, 1, 128 << 20)
    check("user: cgroup v1 exact", cgroup_is_exact, "v1-user", USER, app, 1, 128 << 20)
    check("v1: limit of the group above", cgroup_is_exact, "v1-above", 0, plain, 1, 384 << 20)
    check("v1: rollup exact", rollup_is_exact, "v1-rollup", USER, app, "rollup")
    check("v1: another's tree, bounded", other_user_is_bounded, "v1-user-on-plain", plain)


def send():
    write(f"{OUT}/checks.json", json.dumps(CHECKS, indent=1).encode())
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=3) as archive:
        archive.add(OUT, ".")
    port = os.open("/dev/ttyS1", os.O_WRONLY | os.O_NOCTTY)
    tty.setraw(port)
    rest = memoryview(buffer.getvalue())
    print(f"sending {len(rest)} bytes", flush=True)
    while rest:
        rest = rest[os.write(port, rest[:4096]) :]
    os.close(port)  # waits until the last byte is out


if __name__ == "__main__":
    world.prepare()
    if "cgroup=v1" in world.read("/proc/cmdline"):
        check("v1: ran to the end", hybrid)
    else:
        check("v2: ran to the end", unified)
    send()
