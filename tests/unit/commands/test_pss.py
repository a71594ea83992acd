"""`airmem pss` as people call it."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from tests.unit.commands.conftest import COMMAND

OWN = os.getpid()
HOSTILE = (b"\x1b[2J\x1b]0;owned\x07", b"a\nairmem: forged", b"[red]x[/red]", b"<b>&", "\u202eright".encode(), b"\xff\xfe",
           "\u4e2d\u6587".encode(), b"x" * 10_000)  # fmt: skip


def answer(run, *arguments):
    done = run("pss", *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def row_of(document, pid):
    return next(row for row in document["processes"] if row["pid"] == pid)


@pytest.mark.parametrize("depth", ["auto", "status", "rollup", "mappings"])
def test_depths(run, launch, depth):
    target = launch()
    row = row_of(answer(run, target.pid, "--depth", depth), target.pid)
    assert row["depth"] == depth or depth == "auto"
    assert row["rss_bytes"] > 1 << 20
    assert (row["pss_bytes"] is None) == (depth == "status")
    assert row["parent_pid"] == OWN


def test_pages_where_they_can_be_read(run, launch):
    document = answer(run, launch().pid, "--depth", "pages")
    [row] = document["processes"]
    if document["depth"] == "pages":
        assert row["uss_bytes"] + sum(row["sharing"].values()) == row["rss_bytes"]
        assert document["tree"]["distinct_bytes"] > 0
    else:
        assert {gap["reason"] for gap in document["gaps"]} >= {"no_page_frames"}
        assert row["sharing"] is None


def test_mappings_are_lined_up(run, launch):
    document = answer(run, launch().pid, "--mappings")
    assert sum(one["rss_bytes"] for one in document["mappings"]) == document["processes"][0]["rss_bytes"]
    assert {one["name"] for one in document["mappings"]} >= {"[heap]", "[stack]"}


def test_a_process_whose_first_thread_has_ended(run, launch):
    program = (
        "import ctypes, sys, threading\nprint(flush=True)\n"
        "threading.Thread(target=sys.stdin.read).start()\nctypes.CDLL(None).pthread_exit(None)"
    )
    target = launch(program=program)
    while True:
        with open(f"/proc/{target.pid}/stat", "rb") as file:
            if file.read().rpartition(b") ")[2].startswith(b"Z"):
                break
        time.sleep(0.01)
    for arguments in (("--depth", "rollup"), ("--mappings",)):
        document = answer(run, target.pid, *arguments)
        assert document["processes"][0]["pss_bytes"] > 1 << 20
        assert not document["tree"]["is_lower_bound"]


@pytest.mark.parametrize("titles", [HOSTILE[:-1], HOSTILE[-1:]], ids=["odd", "long"])
def test_a_hostile_title_is_inert_in_every_format(run, launch, titles):
    target = launch(*titles)
    text = run("pss", target.pid, "--depth", "status").stdout
    assert "\x1b" not in text
    assert not any(line.startswith("airmem: forged") for line in text.split("\n"))
    assert "\u202e" not in text
    assert max(map(len, text.split("\n"))) < 300
    document = run("pss", target.pid, "--depth", "status", "--format", "json").stdout
    assert document.isascii()
    assert document.count("\n") == 1
    title = json.loads(document)["processes"][0]["title"]
    assert title.encode().decode() == title
    table = run("pss", target.pid, "--depth", "status", "--format", "csv").stdout
    [_, row] = list(csv.reader(io.StringIO(table)))
    assert "\x1b" not in row[-1]
    assert "\n" not in row[-1]


@pytest.mark.parametrize("first", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_title_that_is_a_formula(run, launch, first):
    # A title set by the process itself, as setproctitle does, begins with whatever it likes.
    target = launch(
        program=f"import os, sys\nprint(flush=True)\nos.execv({os.path.realpath('/bin/sleep')!r}, [{first!r}, '60'])"
    )
    while os.path.basename(os.readlink(f"/proc/{target.pid}/exe")) not in ("sleep", "coreutils", "busybox"):
        time.sleep(0.01)
    table = run("pss", target.pid, "--depth", "status", "--format", "csv").stdout
    [_, row] = list(csv.reader(io.StringIO(table)))
    assert row[-1] == f"'{first} 60"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("0", 2),
        ("-1", 2),
        ("99999999999", 2),
        ("abc", 2),
        ("12x", 2),
        ("", 2),
        ("\u0663", 2),
        ("\x1b[2Jx", 2),
        ("1.5", 2),
        ("0x10", 2),
        ("4194304", 3),
    ],
)
def test_what_is_no_process(run, target, status):
    done = run("pss", "--", target)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("airmem: ")
    assert "\x1b" not in done.stderr


def test_a_process_that_has_ended(run, launch):
    target = launch()
    target.kill()
    target.wait()
    done = run("pss", target.pid)
    assert done.returncode == 3
    assert str(target.pid) in done.stderr


def test_a_zombie_is_told(run, launch):
    target = launch()
    target.kill()
    os.waitid(os.P_PID, target.pid, os.WEXITED | os.WNOWAIT)
    done = run("pss", target.pid)
    assert done.returncode == 5
    assert "ended" in done.stderr


def test_a_thread_of_the_kernel_is_told(run):
    try:
        with open("/proc/2/comm") as file:
            name = file.read().strip()
    except FileNotFoundError:
        name = ""
    if name != "kthreadd":
        pytest.skip("needs the first pid namespace, where pid 2 is a thread of the kernel")
    done = run("pss", 2, "--depth", "rollup")
    assert done.returncode == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("--top", "0"),
        ("--top", "-1"),
        ("--top", "x"),
        ("--depth", "deep"),
        ("--sort", "size"),
        ("--min-pss", "ten"),
        ("--for", "5"),
        ("--every", "0"),
        ("--every", "-1"),
        ("--every", "nan"),
        ("--format", "xml"),
        ("--fail-on", "never"),
        ("--user", "no-such-user-here"),
        ("--nonsense",),
        ("--diff", "/nonexistent"),
        ("--from", "/nonexistent"),
        ("--every", "1", "-o", "x"),
    ],
)
def test_usage(run, tmp_path, arguments):
    done = run("pss", OWN, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr
    assert os.listdir(tmp_path) == []


FAMILY = """
import subprocess, sys
for word in ("first", "-".join(["needle", "in-a-title"]), "third"):
    program = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", word]
    subprocess.Popen(program, stdout=subprocess.PIPE).stdout.readline()
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def family(launch):
    """A process with three children."""
    return launch(program=FAMILY).pid


def test_filters(run, family):
    everything = answer(run, family, "--depth", "rollup")
    assert everything["tree"]["process_count"] == 4
    found = answer(run, family, "--depth", "rollup", "--name", "NEEDLE-in")
    assert len(found["processes"]) == 1
    assert found["processes"][0]["title"].endswith("needle-in-a-title")
    assert found["tree"]["process_count"] == 4
    assert answer(run, family, "--depth", "rollup", "--user", str(os.getuid() + 1))["processes"] == []
    assert len(answer(run, family, "--depth", "rollup", "--user", str(os.getuid()))["processes"]) == 4
    assert answer(run, family, "--depth", "rollup", "--min-pss", "1T")["processes"] == []
    assert len(answer(run, family, "--depth", "rollup", "--top", "1", "--sort", "rss")["processes"]) == 1
    sizes = [row["uss_bytes"] for row in answer(run, family, "--depth", "rollup", "--sort", "uss")["processes"]]
    assert sizes == sorted(sizes, reverse=True)


def test_filters_that_leave_nothing(run, family):
    for form in ("text", "json", "csv"):
        done = run("pss", family, "--depth", "rollup", "--name", "no such title", "--format", form)
        assert (done.returncode, done.stderr) == (0, "")
    assert "0 of them shown" in run("pss", family, "--depth", "rollup", "--role", "nobody").stdout


def test_findings_change_the_status_only_when_asked(run, launch):
    program = "import os, sys\nfor _ in range(4):\n    os.fork() or sys.stdin.read() or os._exit(0)\nprint(flush=True)\nsys.stdin.read()"
    document = answer(run, launch(program=program).pid, "--depth", "rollup")
    assert document["tree"]["process_count"] == 5
    target = document["tree"]["root_pid"]
    severities = {one["severity"] for one in document["findings"]}
    assert "AM101" in {one["code"] for one in document["findings"]}
    assert run("pss", target, "--depth", "rollup").returncode == 0
    assert run("pss", target, "--depth", "rollup", "--fail-on", "note").returncode == 1
    assert run("pss", target, "--depth", "rollup", "--fail-on", "critical").returncode == int("critical" in severities)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage",
        b"\x80\x04\x95 binary \xff",
        b"[]",
        b"null",
        b"17",
        b"{}",
        b'{"command": "ps", "schema_version": 1}',
        b'{"command": "pss", "schema_version": 99}',
        b'{"command": "pss", "schema_version": 1}',
        b'{"command": "pss", "schema_version": 1, "processes": [[1]], "taken_at_seconds": 1, "host": {"hostname": ""}}',
        b'{"command": "pss", "schema_version": 1, "processes": [], "taken_at_seconds": 1e999, "host": 5}',
        b'{"command": "pss", "schema_version": 1, "processes": [{"pid": Infinity, "parent_pid": 1, "start_ticks": 1}]}',
        b"[" * 100_000,
        b"9" * 10_000,
        b'"' + b"x" * 5_000_000,
        '{"command": "pss"}'.encode("utf-16"),
    ],
)
def test_another_file_to_compare_with(run, tmp_path, raw):
    path = tmp_path / "before.json"
    path.write_bytes(raw)
    done = run("pss", OWN, "--depth", "rollup", "--diff", path)
    assert done.returncode == 2, done.stderr
    assert "airmem pss TARGET --format json -o before.json" in done.stderr


def test_an_answer_cut_short(run, tmp_path):
    path = tmp_path / "before.json"
    path.write_text(run("pss", OWN, "--depth", "rollup", "--format", "json").stdout[:-40])
    assert run("pss", OWN, "--depth", "rollup", "--diff", path).returncode == 2


def test_an_answer_compared_with_itself(run, launch, tmp_path):
    target = launch().pid
    path = tmp_path / "before.json"
    assert run("pss", target, "--depth", "rollup", "--format", "json", "-o", path).returncode == 0
    document = answer(run, target, "--depth", "rollup", "--diff", path)
    [role] = document["diff"]["roles"]
    assert role["before"]["rss_sum_bytes"] == role["after"]["rss_sum_bytes"]
    assert "Against the earlier answer" in run("pss", target, "--depth", "rollup", "--diff", path).stdout


def test_roles_with_hostile_names(run, tmp_path):
    path = tmp_path / "before.json"
    document = answer(run, OWN, "--depth", "rollup")
    document["processes"][0].update(role="\x1b[2J\ud800", component="\u202e=1", title="\ud800")
    path.write_text(json.dumps(document))
    done = run("pss", OWN, "--depth", "rollup", "--diff", path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\\ud800" in done.stdout


def test_ctrl_c_while_repeating(launch):
    target = launch()
    process = subprocess.Popen(
        [*COMMAND, "pss", str(target.pid), "--depth", "rollup", "--every", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in output + errors
    assert b"interrupted" in errors


def test_repeating_ends_in_time(run, launch):
    began = time.monotonic()
    done = run("pss", launch().pid, "--depth", "status", "--every", "30", "--for", "0.1")
    assert done.returncode == 0
    assert time.monotonic() - began < 20
    assert done.stdout.count("no descendants") == 1


def test_repeating_marks_what_changed(launch):
    target = launch()
    line = [*COMMAND, "pss", str(target.pid), "--depth", "rollup", "--every", "0.05"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        headers = (words for words in process.stdout if words.startswith("ROLE"))
        first, second = next(headers), next(headers)
        process.terminate()
    assert "dPSS" not in first
    assert "dPSS" in second


def test_repeating_keeps_its_duty_cycle(launch):
    # Pages of a large process take long, so that 0.01 s between looks would keep a processor busy.
    target = launch(program="import sys; b = bytearray(300 << 20); print(flush=True); sys.stdin.read()")
    began = time.monotonic()
    process = subprocess.Popen(
        [*COMMAND, "pss", str(target.pid), "--depth", "rollup", "--every", "0.01", "--for", "3"],
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    starting = 0.5
    assert used.ru_utime + used.ru_stime < starting + 0.2 * (time.monotonic() - began)


def test_a_target_that_ends_while_it_is_watched(launch):
    target = launch()
    process = subprocess.Popen(
        [*COMMAND, "pss", str(target.pid), "--depth", "rollup", "--every", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    target.kill()
    target.wait()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 3
    assert str(target.pid).encode() in errors


def at_a_terminal(*arguments: object, columns: int = 80, **variables: str) -> tuple[int, str]:
    """Run airmem at a terminal of its own."""
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "TERM")}
        environment.update({"COLUMNS": str(columns), "TERM": "xterm-256color"}, **variables)
        os.execve(COMMAND[0], [*COMMAND, *map(str, arguments)], environment)
    blocks = []
    while True:
        try:
            block = os.read(terminal, 1 << 16)
        except OSError:
            break
        if not block:
            break
        blocks.append(block)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), b"".join(blocks).decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_at_a_terminal_lines_fit_and_are_colored(launch, columns):
    target = launch(*HOSTILE)
    status, text = at_a_terminal("pss", target.pid, "--depth", "rollup", columns=columns)
    assert status == 0
    assert "\x1b[1m" in text
    assert "\x1b[2J" not in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "\x1b" not in plain
    if columns > 40:
        assert max(map(len, plain.split("\n"))) <= columns


@pytest.mark.parametrize(
    ("arguments", "variables"), [(("--no-color",), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"})]
)
def test_at_a_terminal_without_color(launch, arguments, variables):
    status, text = at_a_terminal("pss", launch().pid, "--depth", "rollup", *arguments, **variables)
    assert status == 0
    assert "\x1b" not in text


def test_an_empty_no_color_asks_for_nothing(launch):
    assert "\x1b[1m" in at_a_terminal("pss", launch().pid, "--depth", "status", NO_COLOR="")[1]
