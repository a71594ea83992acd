"""What works where, and how it is told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from airmem.codec.document import encode_report
from airmem.model.environment import DoctorReport
from airmem.model.report import Head
from airmem.model.snapshot import Host
from airmem.render import as_text
from airmem.rules.environment import check_abilities, check_target
from airmem.rules.programs import supports
from airmem.views.doctor import view_doctor
from tests.unit.rules.places import ALL, environment, identity, place, target

PTRACE = 1 << 19
ROOT = place(own=identity(0, 0, ALL))


def works(where, facts=None):
    """Return possible and reason by command and depth, or capability."""
    return {
        " ".join(part for part in (one.command, one.depth, one.capability) if part): (one.possible, one.reason)
        for one in check_abilities(where, facts)
    }


def test_everything_works_for_root():
    found = works(environment(ROOT), target())
    assert {name for name, (possible, _) in found.items() if possible != "yes"} == {"allocations", "trace attach"}


def test_without_a_target_a_user_reads_his_own():
    found = works(environment(has_page_frames=False))
    assert found["pss status"] == ("yes", "")
    assert found["pss rollup"] == found["stacks"] == ("partly", "own_processes")
    assert found["pss pages"] == ("no", "no_page_frames")
    assert works(environment(ROOT, has_page_frames=False), target())["cow"] == ("partly", "no_page_frames")


def test_a_refusal_is_the_same_for_all_that_need_the_file():
    facts = target(reason="not_dumpable", refused=("smaps_rollup", "smaps", "pagemap", "mem", "syscall"))
    found = works(environment(), facts)
    refused = ("pss rollup", "pss mappings", "pss pages", "pss exclusive", "memory_contents", "stacks", "allocations")
    assert {found[name] for name in refused} == {("no", "not_dumpable")}
    assert {found[name] for name in ("cow", "heap", "trace attach")} == {("no", "not_dumpable")}
    assert found["capture"] == found["hang-dump"] == ("partly", "not_dumpable")
    assert found["pss status"] == ("yes", "")


def test_yama_forbids_memory_and_not_pss():
    facts = target(reason="security_module", refused=("mem", "syscall"))
    found = works(environment(place(ptrace_scope=1)), facts)
    assert found["pss rollup"] == ("yes", "")
    assert found["memory_contents"] == found["stacks"] == ("no", "yama")


def test_tracing_does_not_open_a_file_of_mode_0400():
    facts = target(identity(50000, 0), "security_module", ("pagemap", "mem"))
    found = works(environment(place(own=identity(1000, 1000, PTRACE))), facts)
    assert found["pss pages"] == found["memory_contents"] == ("no", "file_mode")


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"has_smaps_rollup": False}, "pss rollup", ("partly", "no_smaps_rollup")),
        ({"has_kpagecount": False}, "pss exclusive", ("no", "no_kpagecount")),
        ({"has_pagemap_scan": False}, "page_scan", ("no", "no_pagemap_scan")),
        ({"page_mapcount": "averaged"}, "exact_page_counts", ("no", "averaged")),
        ({"page_mapcount": "unknown"}, "exact_page_counts", ("partly", "unknown_configuration")),
        ({"missing": ("numpy",)}, "pss pages", ("no", "no_numpy")),
        ({"missing": ("numpy",)}, "cow", ("no", "no_numpy")),
        ({"missing": ("py-spy",)}, "hang-dump", ("partly", "no_py_spy")),
        ({"missing": ("py-spy",)}, "stacks", ("no", "no_py_spy")),
        ({"missing": ("memray",)}, "allocations", ("no", "no_memray")),
        ({"missing": ("gdb", "lldb")}, "allocations", ("no", "no_debugger")),
        ({"missing": ("gdb",)}, "allocations", ("partly", "needs_memray_in_target")),
    ],
)
def test_what_is_missing_is_named(changes, name, expected):
    assert works(environment(ROOT, **changes), target())[name] == expected


def test_gvisor_knows_no_pss():
    assert works(environment(place(is_gvisor=True)), target())["pss rollup"] == ("no", "gvisor")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (target(state="Z", refused=("smaps_rollup",), outcome="ESRCH"), "zombie"),
        (target(flags=0x00200000, refused=("smaps_rollup",), outcome="ESRCH"), "kernel_thread"),
        (target(refused=("smaps_rollup",), outcome="EIO"), "unreadable"),
    ],
)
def test_what_is_not_there_is_not_refused(facts, reason):
    assert works(environment(ROOT), facts)["pss rollup"] == ("no", reason)


def test_a_hidden_process_shows_nothing():
    facts = target(reason="hidepid", refused=("status", "smaps_rollup", "smaps", "pagemap"), outcome="ENOENT")
    hidden = {name: getattr(facts, name) for name in facts.__slots__} | {"identity": None, "process": None}
    found = works(environment(place(hidepid="2")), type(facts)(**hidden))
    assert found["ps"] == ("partly", "hidepid")
    assert {found[name] for name in ("pss status", "pss rollup", "capture")} == {("no", "hidepid")}


@pytest.mark.parametrize(
    ("version", "py_spy"), [("3.6", False), ("3.7", True), ("3.14", True), ("3.15", None), ("", None), ("2.7", False)]
)
def test_which_python_is_known_to_work(version, py_spy):
    assert supports("py-spy", version) is py_spy
    assert supports("memray", "3.15") is True


def test_the_target_that_cannot_be_read_is_a_finding():
    facts = target(reason="other_user", refused=("smaps_rollup",))
    (finding,) = check_target(facts, check_abilities(environment(), facts))
    assert (finding.code, finding.severity, finding.evidence) == ("AM901", "warning", "other_user")
    assert check_target(target(), check_abilities(environment(), target())) == ()
    assert check_target(None, check_abilities(environment(), None)) == ()


def report(where, facts):
    host = Host(boot_id="", hostname="h", kernel="6", pid_namespace="", container_id="")
    head = Head(command="doctor", taken_at_seconds=0.0, took_seconds=0.0, host=host)
    abilities = check_abilities(where, facts)
    findings = check_target(facts, abilities)
    return DoctorReport(
        head=head, environment=where, target=facts, abilities=abilities, gaps=(), findings=findings
    )  # fmt: skip


REFUSED = target(identity(50000, 0), "not_dumpable", ("smaps_rollup", "smaps", "pagemap", "mem"))


@pytest.mark.parametrize("kind", ["host", "docker", "kubernetes"])
@pytest.mark.parametrize("facts", [None, target(), REFUSED])
@pytest.mark.parametrize("verbose", [False, True])
def test_it_can_be_read_in_80_columns_and_lines_to_copy_are_whole(kind, facts, verbose):
    answer = report(environment(place(kind)), facts)
    lines = as_text.render(view_doctor(answer, verbose), 80).split("\n")
    to_copy = {part for one in answer.abilities for part in (one.remedy.line, *one.remedy.lasting.split("\n")) if part}
    assert [line for line in lines if len(line) > 80 and line.strip() not in to_copy] == []
    first = {(one.reason, one.cause): one.remedy.line for one in reversed(answer.abilities)}
    assert {line for line in first.values() if line} <= {line.strip() for line in lines}
    assert ("To measure again" in "\n".join(lines)) == (verbose and any(one.remedy.lasting for one in answer.abilities))


@pytest.mark.parametrize("verbose", [False, True])
def test_facts_begin_below_each_other_and_a_long_title_is_cut(verbose):
    facts = target()
    facts = replace(facts, process=replace(facts.process, arguments=("x" * 10_000,)))
    lines = as_text.render(view_doctor(report(environment(), facts), verbose)).split("\n")
    lines = lines[: lines.index("")]
    width = 16 if verbose else 15
    assert {line[width - 2 : width] for line in lines} == {"  "}
    assert not any(line[width] == " " for line in lines)
    assert max(len(line) for line in lines if line.startswith("target")) < 300


def test_json_says_true_false_or_partly():
    document = json.loads(json.dumps(encode_report(report(environment(), REFUSED))))
    assert {one["possible"] for one in document["commands"]} == {True, False, "partly"}
    assert document["target"]["identity"]["is_dumpable"] is True
    assert document["environment"]["place"]["identity"]["bounding_capabilities"][19] == "CAP_SYS_PTRACE"


@pytest.mark.parametrize(
    ("facts", "reason"), [(target(state="Z"), "zombie"), (target(flags=0x200000), "kernel_thread")]
)
def test_nothing_of_memory_can_be_had_of_a_process_that_has_none_though_its_files_open(facts, reason):
    """/proc/PID/status and smaps of a zombie open, and are empty."""
    names = ("status", "rollup", "mappings", "pages", "exclusive")
    for where in (environment(ROOT), environment(has_page_frames=False), environment(ROOT, missing=("numpy",))):
        found = works(where, facts)
        assert {found[f"pss {name}"] for name in names} == {("no", reason)}
        assert {found[name] for name in ("cow", "heap", "memory_contents")} == {("no", reason)}


def test_a_kernel_thread_is_told_as_such_where_it_refuses_too():
    facts = target(flags=0x200000, reason="other_user", refused=("smaps", "mem", "pagemap"))
    assert works(environment(place(ptrace_scope=1)), facts)["cow"] == ("no", "kernel_thread")
