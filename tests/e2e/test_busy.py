"""airmem on a real Airflow whose workers all run a task: who is who, and whose memory is it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from airmem.group import airmem as command_line
from tests.e2e.airflow import TASKS, WORKERS, Airflow
from tests.e2e.machine import Machine
from tests.e2e.started import Started, descendants
from tests.e2e.truth import Expected, expect_airflow, expect_neighbors, read_account, read_status_rss, stopped

Ask = Callable[..., Any]
KIB, MIB = 1 << 10, 1 << 20

MOVEMENT_BYTES = 2 * MIB
"""What a process of a living tree may gain and lose between two looks, besides what the test itself sees it do."""

RSS_LAG_BYTES = 8 * MIB
"""ps shows the kernel's counter, which lags behind for each processor; and the process goes on."""

PSS_ROUNDING_BYTES = 8 * KIB
BOUND_RATIO = 0.01
BOUND_BYTES = 2 * MIB
"""How far the bound may lie from the truth: charges are counted in batches for each processor (mm/memcontrol.c)."""

STRANGER_UID = 50001
LOOKS = 6
"""At a stopped tree, until one at which nothing else changed its pages."""


@pytest.fixture(scope="module")
def seen(
    airflow: Airflow, gunicorn: Started, celery: Started, tasks: list[dict[str, Any]], ask: Ask
) -> tuple[dict[int, Expected], list[dict[str, Any]]]:
    """What the harness knows of every process, and airmem's answer of the same moment."""
    parser = airflow.hold_parser()
    try:
        known = {**expect_airflow(airflow, tasks, parser), **expect_neighbors(gunicorn, celery)}
        answer = ask("ps")
        gone = [one for one in known.values() if not one.place.is_alive]
        assert not gone, f"ended while airmem looked: {gone}"
    finally:
        airflow.let_parser_go()
    return known, answer["services"]


def test_ps_names_every_process(seen):
    known, rows = seen
    by_pid = {row["pid"]: row for row in rows}
    assert len(by_pid) == len(rows)
    wrong = []
    for pid, one in known.items():
        row = by_pid.get(pid, {})
        wanted = (one.service, one.component, one.role, one.parent_pid, one.place.start_ticks)
        found = tuple(row.get(key) for key in ("service", "component", "role", "parent_pid", "start_ticks"))
        if found != wanted:
            wrong.append((pid, wanted, found, row.get("title")))
    assert wrong == []


def test_ps_shows_nothing_else_in_these_trees(seen):
    known, rows = seen
    others = [row for row in rows if row["parent_pid"] in known and row["pid"] not in known]
    roles = {row["role"] for row in others if row["state"] != "Z"}  # a task that has ended shows for some seconds
    assert roles <= {"parser"}  # the other DAG file may be parsed at the same moment


def test_ps_tells_titles_tasks_and_start_methods(seen):
    known, rows = seen
    for row in rows:
        one = known.get(row["pid"])
        if one is None:
            continue
        assert one.title is None or row["title"] == one.title
        assert row["start_method"] == ("exec" if one.role == "parent" else "fork")
        if one.title is not None and one.role in ("worker", "task"):
            assert row["activity"] == one.title.rpartition(" ")[2]
        if one.role != "parser":  # it has ended by now
            assert abs(row["rss_bytes"] - read_status_rss(row["pid"])) < RSS_LAG_BYTES


def test_text_has_a_line_for_each_process(seen, machine: Machine):
    known, _ = seen
    done = machine.run_airmem("ps")
    assert done.returncode == 0, done.stderr
    machine.keep("ps.txt", done.stdout)
    shown = {int(word) for line in done.stdout.splitlines() for word in line.split()[1:2] if word.isdigit()}
    lasting = {pid for pid, one in known.items() if one.role != "parser"}
    assert lasting <= shown


@pytest.mark.parametrize("name", ["scheduler", "dag-processor", "api-server", "triggerer", "celery-worker", "gunicorn"])
def test_a_tree_is_found_by_its_name(name, seen, machine: Machine, ask: Ask):
    known, _ = seen
    (own,) = [pid for pid, one in known.items() if (one.component, one.role) == (name, "parent")]
    others = [
        row["pid"]
        for row in ask("ps")["services"]
        if (row["component"], row["role"]) == (name, "parent") and row["pid"] != own
    ]
    if not others:
        assert ask("pss", name)["tree"]["root_pid"] == own
        return
    done = machine.run_airmem("pss", name)  # another such service runs on this machine: airmem asks which is meant
    assert done.returncode == 2
    assert all(str(pid) in done.stderr for pid in (own, *others))


def test_pss_as_text_has_a_line_for_each_process(airflow: Airflow, superuser, tasks, machine: Machine):
    pid = airflow.components["scheduler"].pid
    for name, user in (("pss.txt", {}), ("pss-same-uid.txt", {"uid": machine.uid, "gid": machine.gid})):
        done = machine.run_airmem("pss", pid, **user)
        assert done.returncode == 0, done.stderr
        machine.keep(name, done.stdout)
        words = set(done.stdout.split())
        assert all(str(one) in words for one in descendants(pid))


@pytest.mark.parametrize("depth", ["auto", "rollup"])
def test_pss_adds_up_against_the_kernel(depth, airflow: Airflow, superuser, tasks, ask: Ask):
    pid = airflow.components["scheduler"].pid
    before = {one: read_account(one) for one in descendants(pid)}
    answer = ask("pss", pid, "--depth", depth)
    after = {one: read_account(one) for one in descendants(pid)}
    rows = {row["pid"]: row for row in answer["processes"]}
    assert rows.keys() >= before.keys() & after.keys()
    assert len(rows) >= 3 + WORKERS + TASKS
    assert not answer["tree"]["is_lower_bound"]
    for key in ("rss_bytes", "pss_bytes", "uss_bytes"):
        for one in before.keys() & after.keys():
            low, high = sorted((before[one][key], after[one][key]))
            assert low - MOVEMENT_BYTES <= rows[one][key] <= high + MOVEMENT_BYTES, (one, key)
        total = answer["tree"][key.replace("_bytes", "_sum_bytes")]
        assert total == sum(row[key] for row in answer["processes"])


def test_pss_is_exact_on_a_stopped_tree(airflow: Airflow, gunicorn: Started, celery: Started, superuser, tasks):
    """In this process, since another one that starts and ends shares libraries with the tree, or no longer.

    What shares libraries with the tree is stopped, too: each page that it touches changes the tree's PSS.
    """
    others = [one for name, one in airflow.components.items() if name != "scheduler"] + [gunicorn, celery]
    pid = airflow.components["scheduler"].pid
    arguments = ["pss", str(pid), "--format", "json"]
    CliRunner().invoke(command_line, arguments)  # imports all that it needs and maps all that it touches
    pids = [*descendants(pid)]
    looks = 0
    wrong = ["not looked at"]
    began = time.monotonic()
    with stopped([one for root in (airflow.components["scheduler"], *others) for one in descendants(root.pid)]):
        while wrong and looks < LOOKS:
            before = {one: read_account(one) for one in pids}
            done = CliRunner().invoke(command_line, arguments)
            after = {one: read_account(one) for one in pids}
            answer = json.loads(done.stdout)
            wrong = _differences(answer, before, after)
            looks += 1  # again if other programs on this machine have mapped a library of the tree, or let it go
    airflow.machine.say(f"the scheduler's tree stood still for {time.monotonic() - began:.1f} s, {looks} looks")
    assert wrong == []
    assert answer["depth"] == "pages"
    for row in answer["processes"]:
        assert row["rss_bytes"] == before[row["pid"]]["rss_bytes"], row["title"]
        parts = row["sharing"]
        shared = parts["parent_bytes"] + parts["siblings_bytes"] + parts["outside_bytes"]
        assert row["uss_bytes"] + shared == row["rss_bytes"], row["title"]


def _differences(answer: Any, before: Any, after: Any) -> list[str]:
    """Return where an answer is not what the kernel says before and after it: RSS and USS exactly, PSS nearly."""
    rows = {row["pid"]: row for row in answer["processes"]}
    if rows.keys() != before.keys():
        return [f"processes {sorted(rows.keys() ^ before.keys())}"]
    margins = {"rss_bytes": 0, "uss_bytes": 0, "pss_bytes": PSS_ROUNDING_BYTES}
    return [
        f"{rows[pid]['title']}: {key} {rows[pid][key]} is not {before[pid][key]} to {after[pid][key]}"
        for pid in before
        for key, margin in margins.items()
        if not min(before[pid][key], after[pid][key]) - margin
        <= rows[pid][key]
        <= max(before[pid][key], after[pid][key]) + margin
    ]


def test_workers_that_are_not_dumpable_are_explained(airflow: Airflow, tasks, ask: Ask, machine: Machine):
    pid = airflow.components["scheduler"].pid
    hidden = {one[key] for one in tasks for key in ("pid", "parent_pid")}
    pids = [*descendants(pid)]
    with stopped(pids):
        truth = {one: read_account(one) for one in pids if one not in hidden}
        answer = ask("pss", pid, uid=machine.uid, gid=machine.gid)
        status = {one: read_status_rss(one) for one in hidden}
    rows = {row["pid"]: row for row in answer["processes"]}
    assert {one for one, row in rows.items() if row["pss_bytes"] is None} == hidden
    for one in hidden:
        assert rows[one]["depth"] == "status"
        assert rows[one]["rss_bytes"] == status[one]
        (gap,) = [gap for gap in answer["gaps"] if gap["pid"] == one and gap["fact"] == "pss_bytes"]
        assert gap["reason"] == "not_dumpable"
        assert gap["remedy"]
    for one in rows.keys() - hidden:
        assert rows[one]["rss_bytes"] == truth[one]["rss_bytes"]
    tree = answer["tree"]
    assert (tree["unreadable_count"], tree["is_lower_bound"]) == (len(hidden), True)


def test_the_bound_holds_what_root_reads(airflow: Airflow, superuser, tasks, ask: Ask, machine: Machine):
    if airflow.group is None:
        pytest.skip(f"needs a memory control group of the tree's own: {airflow.why_no_group}")
    pid = airflow.components["scheduler"].pid
    hidden = {one[key] for one in tasks for key in ("pid", "parent_pid")}
    pids = [*descendants(pid)]
    with stopped(pids):
        accounts = [read_account(one) for one in hidden]
        tree = ask("pss", pid, uid=machine.uid, gid=machine.gid)["tree"]
    truth = sum(one["pss_anon_bytes"] + one["pss_shmem_bytes"] for one in accounts)
    bound = tree["unreadable_bound_bytes"]
    machine.say(f"bound {bound / MIB:.1f} MiB, truth {truth / MIB:.1f} MiB" if bound else "no bound")
    assert bound is not None
    assert abs(bound - truth) <= BOUND_RATIO * truth + BOUND_BYTES
    assert tree["cgroup"]["path"].endswith(airflow.group.name)


def test_another_user_is_told_so(airflow: Airflow, superuser, tasks, ask: Ask, machine: Machine):
    pid = airflow.components["scheduler"].pid
    refused = machine.run_airmem("pss", pid, uid=STRANGER_UID, gid=STRANGER_UID)
    assert refused.returncode == 4
    assert f"uid {machine.uid}, airmem as uid {STRANGER_UID}" in refused.stderr
    answer = ask("pss", pid, "--depth", "status", uid=STRANGER_UID, gid=STRANGER_UID)
    assert all(row["rss_bytes"] and row["pss_bytes"] is None for row in answer["processes"])
    assert answer["tree"]["pss_sum_bytes"] is None
    assert answer["tree"]["rss_sum_bytes"] == sum(row["rss_bytes"] for row in answer["processes"])
    assert {pid, *(one["pid"] for one in tasks)} <= {row["pid"] for row in ask_ps(ask)}


def ask_ps(ask: Ask) -> list[dict[str, Any]]:
    """Return what a stranger sees of the services: names, places and RSS need no permission."""
    return list(ask("ps", uid=STRANGER_UID, gid=STRANGER_UID)["services"])
