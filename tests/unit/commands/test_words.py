"""Words of the command line: what is refused, what a shell completes, what a full memory says."""

from __future__ import annotations

import json
import resource
import subprocess

import pytest

from airmem.collect.access import explain_page_table
from airmem.collect.processes import read_process
from airmem.collect.source import open_source
from airmem.commands._options import Duration, Ratio, Size


@pytest.mark.parametrize("kind", [Ratio(), Duration(), Size()], ids=lambda kind: kind.name)
@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-inf", "1e999", "-1", "", "x"])
def test_what_is_no_number_is_refused_by_every_kind(kind, text):
    with pytest.raises(Exception, match=r"is not a|is no part"):
        kind.convert(text, None, None)


def test_a_fraction_that_is_no_number_is_wrong_usage(run, launch):
    done = run("cow", launch().pid, "--fraction", "nan")
    assert done.returncode == 2
    assert "--fraction" in done.stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("pss", "--from", ""), "file,"),
        (("pss", "-o", ""), "file,"),
        (("heap", "--from", "a", ""), "file,"),
        (("analyze", ""), "file,"),
        (("hang-dump", "--from", ""), "file,"),
        (("guard", "--bundle-dir", ""), "file,"),
        (("imports", "--python", ""), "file,"),
        (("capture", "-o", ""), "file,"),
        (("pss", "sched"), "plain,scheduler"),
        (("capture", "sched"), "plain,scheduler"),
        (("hang-dump", "trig"), "plain,triggerer"),
        (("trace", "--attach", "trig"), "plain,triggerer"),
    ],
)
def test_a_shell_completes_files_and_components(run, words, offered):
    line = " ".join(("airmem", *words))
    asked = {"_AIRMEM_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    assert offered in run(variables=asked).stdout.splitlines()


def test_a_table_that_does_not_exist_is_not_replaced_by_another(run, launch, tmp_path):
    pid, before = launch().pid, tmp_path / "before.json"
    assert run("pss", pid, "--format", "json", "-o", before).returncode == 0
    done = run("pss", pid, "--diff", before, "--format", "csv")
    assert (done.returncode, done.stdout) == (2, "")
    table = run("heap", pid, "--type", "dict", "--format", "csv").stdout
    assert table.startswith("range,permissions,count,")


@pytest.mark.parametrize("command", ["cow", "heap"])
def test_too_little_memory_is_no_fault(run, launch, command):
    pid = launch(program="import sys; x = [str(n) for n in range(300_000)]; print(flush=True); sys.stdin.read()").pid
    statuses = set()
    # numpy cannot be imported with the first; with the next, OpenBLAS would end airmem; then reading has no room.
    for megabytes in (48, 72, 96, 100, 104, 200, 300, 400, 500, 600, 700, 800):
        limit = megabytes << 20
        done = run(command, pid, preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        statuses.add(done.returncode)
        assert done.returncode in (0, 5), done.stderr
        if done.returncode == 0:
            break
        assert "memory" in done.stderr
        assert "OpenBLAS" not in done.stderr
    assert statuses == {0, 5}


def test_sums_are_told_where_there_is_no_room_for_numpy(run, launch):
    limit = 72 << 20
    done = run(
        *("pss", launch().pid, "--depth", "pages", "--format", "json"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["depth"]) == (0, "rollup")
    assert {gap["reason"] for gap in answer["gaps"] if gap["fact"] == "sharing"} <= {"little_memory", "no_page_frames"}
    assert answer["gaps"]


def test_a_program_that_is_no_python_is_called_by_its_name(run):
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        try:
            first = run("ps", sleeper.pid).stdout.splitlines()[3]
        finally:
            sleeper.kill()
    assert first.split()[:2] == ["sleep", str(sleeper.pid)]


def test_a_python_under_a_title_of_its_own_is_a_python_all_the_same(run, launch):
    """As setproctitle leaves it: the command line and the short name tell nothing, the program does."""
    own_title = (
        "import ctypes, sys\nlibc = ctypes.CDLL(None)\nlibc.prctl(15, b'my-service', 0, 0, 0)\n"
        "stat = open('/proc/self/stat').read().rpartition(')')[2].split()\n"
        "start, end = int(stat[45]), int(stat[46])\n"
        "ctypes.memset(start, 0, end - start)\nctypes.memmove(start, b'my-service: at work', 19)\n"
        "print(flush=True)\nsys.stdin.read()"
    )
    target = launch(program=own_title)
    rows = json.loads(run("ps", "--all", "--format", "json").stdout)["services"]
    assert [row["title"] for row in rows if row["pid"] == target.pid] == ["my-service: at work"]


@pytest.mark.parametrize("more", [("--depth", "status"), ("--mappings",)])
def test_an_order_by_what_is_not_read_is_refused(run, launch, more):
    done = run("pss", launch().pid, "--sort", "outside", *more)
    assert (done.returncode, done.stdout) == (2, "")


def test_the_page_table_of_a_process_that_has_ended_is_gone_and_not_refused(launch):
    target, source = launch(), open_source()
    with source.process(target.pid) as files:
        process = read_process(files, with_arguments=False)
    assert explain_page_table(source, process)[0] == "page_table_unreadable"
    target.kill()
    target.wait()
    assert explain_page_table(source, process)[0] == "gone"


def test_a_role_that_nobody_has_is_told_with_those_that_there_are(run, launch):
    answer = json.loads(run("pss", launch().pid, "--role", "nosuch", "--format", "json").stdout)
    assert answer["processes"] == []
    (gap,) = [one for one in answer["gaps"] if one["reason"] == "no_such_role"]
    assert "parent" in gap["detail"]
    assert "no_such_role" not in run("pss", launch().pid, "--role", "parent").stdout
