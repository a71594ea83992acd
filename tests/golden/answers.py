"""The answers whose looks are kept: every number is made up, and fixed."""

from __future__ import annotations

from dataclasses import replace

from airmem.analysis.diff import diff_trees
from airmem.analysis.lineup import line_up
from airmem.analysis.totals import sum_tree
from airmem.model.finding import Finding
from airmem.model.gap import Gap
from airmem.model.remainder import CgroupRemainder
from airmem.model.report import ProcessRow, PssReport
from airmem.model.sharing import Sharing, TreeSharing
from airmem.model.snapshot import ProcessSnapshot
from airmem.render import as_csv, as_json, as_text
from airmem.rules.gaps import advise
from airmem.rules.memory import check_memory
from airmem.views.pss import view_pss, view_table
from tests.synthetic import make_account, make_cgroup, make_mapping, make_process, make_report, make_row

MIB = 1 << 20
CGROUP = make_cgroup(
    path="/kubepods/pod1/app", limit_bytes=512 * MIB, usage_bytes=500 * MIB, working_set_bytes=480 * MIB,
    anon_bytes=400 * MIB, file_bytes=90 * MIB, shmem_bytes=8 * MIB, slab_bytes=5 * MIB, oom_kill_count=2,
)  # fmt: skip
SCHEDULER = {"component": "scheduler", "user_id": 50000}
TITLES = (
    ("/usr/local/bin/python3", "/home/airflow/.local/bin/airflow", "scheduler", "--num-runs", "5"),
    ("airflow worker -- LocalExecutor: <idle>",),
    ("\x1b[2J=cmd|' /C calc'!A0 [red]\u4e2d\u6587\u4e2d\u6587\u4e2d\u6587[/red]\n\u202eforged \udcff",),
)


def rows(grown: int = 0) -> tuple[ProcessRow, ...]:
    """Return a parent with two workers; `grown` MiB are added to the last."""
    kinds = {"pss_anon_bytes": 60 * MIB, "pss_file_bytes": 9 * MIB, "pss_shmem_bytes": 0, "swap_bytes": 0,
             "swap_pss_bytes": 0, "hugetlb_bytes": 0, "shared_clean_bytes": 30 * MIB, "shared_dirty_bytes": 100 * MIB}  # fmt: skip
    sizes = ((210, 70, 2), (150, 60, 30), (160 + grown, 90 + grown, 100 + grown))
    shares = ((0, 170, 38), (119, 0, 1), (55, 4, 1))
    return tuple(
        make_row(
            1000 + number,
            1000 if number else 1,
            role="worker" if number else "parent",
            depth="pages",
            account=make_account(*(part * MIB for part in size), **kinds),
            sharing=Sharing(**dict(zip(Sharing.__slots__, (part * MIB for part in share), strict=True))),
            process={"arguments": title, "flags": 0x40 if number else 0},
            **SCHEDULER,
        )
        for number, (size, share, title) in enumerate(zip(sizes, shares, TITLES, strict=True))
    )


def tree(grown: int = 0) -> PssReport:
    """Return an answer with everything that can be known."""
    found = rows(grown)
    sharing = TreeSharing(
        by_process=(None,) * 3, distinct_bytes=240 * MIB, exclusive_bytes=200 * MIB, unsettled={}, stray_bytes=0
    )
    totals = sum_tree(found, sharing, CGROUP, None, missed=False)
    findings = check_memory(found, totals, CGROUP)
    return make_report(
        *found, depth="pages", component="scheduler", tree=totals, cgroup=CGROUP, findings=findings
    )  # fmt: skip


def unreadable() -> PssReport:
    """Return an answer about a tree half of which was refused."""
    parent, worker, _ = rows()
    refused = [
        make_row(pid, 1000, depth="status", account=make_account(300 * MIB), process={"arguments": TITLES[1]}, **SCHEDULER)
        for pid in range(1002, 1010)
    ]  # fmt: skip
    found = (replace(parent, depth="rollup", sharing=None), replace(worker, depth="rollup", sharing=None), *refused)
    remainder = CgroupRemainder(outsiders_pss_bytes=20 * MIB, obstacles=())
    gaps = [
        Gap(pid=row.process.pid, fact="pss_bytes", reason="other_user", detail=f"process {row.process.pid} runs as uid 0")
        for row in refused
    ]  # fmt: skip
    gaps.append(Gap(pid=1011, fact="process", reason="gone", detail="it ended while the tree was read"))
    gaps.append(Gap(pid=None, fact="sharing", reason="no_page_frames", detail="page frame numbers are hidden here"))
    return make_report(
        *found,
        component="scheduler",
        tree=sum_tree(found, None, CGROUP, remainder, missed=True),
        cgroup=CGROUP,
        gaps=advise(tuple(gaps)),
        findings=(Finding(code="AM900", severity="critical", pid=1, summary="S", evidence="E", remedy="R"),),
    )


def mappings() -> PssReport:
    """Return an answer with mappings lined up."""
    page = MIB
    root = (
        make_mapping(10 * page, 30 * page, name="[heap]"),
        make_mapping(40 * page, 60 * page),
        make_mapping(80 * page, 90 * page, name="/srv/\x1b[31m=evil\n.so", permissions="r--s", private_dirty_bytes=0,
                     shared_clean_bytes=10 * page),
    )  # fmt: skip
    worker = (
        make_mapping(10 * page, 30 * page, private_dirty_bytes=5 * page, shared_dirty_bytes=15 * page, pss_bytes=9 * page),
        make_mapping(40 * page, 70 * page),
    )  # fmt: skip
    report = make_report(*rows()[:2], depth="mappings")
    family = (
        ProcessSnapshot(process=make_process(1000, 1), depth="mappings", account=make_account(), mappings=root),
        ProcessSnapshot(process=make_process(1001, 1000), depth="mappings", account=make_account(), mappings=worker),
    )
    return replace(report, lineup=line_up(family))


def compared() -> PssReport:
    """Return an answer against an earlier one with other roles, one of them unread."""
    before = (*rows()[:2], make_row(9, role="log-server", account=make_account(5 * MIB), component="scheduler"))
    after = (*rows(30), make_row(10, role="triggerer", account=make_account(5 * MIB, 4 * MIB, 3 * MIB)))
    return replace(tree(30), change=diff_trees(1_600_000_000.0, "host-0", before, after))


def answers() -> dict[str, str]:
    """Return the text of each golden file by its name."""
    shown = {
        "tree": view_pss(tree()),
        "tree-verbose": view_pss(tree(), verbose=True),
        "again": view_pss(tree(30), earlier=tree()),
        "unreadable": view_pss(unreadable()),
        "mappings": view_pss(mappings(), top_count=2),
        "mappings-verbose": view_pss(mappings(), verbose=True),
        "compared": view_pss(compared()),
        "nothing-shown": view_pss(replace(tree(), processes=())),
    }
    files = {f"{name}.txt": as_text.render(document) for name, document in shown.items()}
    for width in (40, 80, 200):
        files[f"tree-{width}.txt"] = as_text.render(shown["tree"], width)
        files[f"unreadable-{width}.txt"] = as_text.render(shown["unreadable"], width)
    files["tree-80.color"] = as_text.render(shown["tree"], 80, color=True)
    files["unreadable-80.color"] = as_text.render(shown["unreadable"], 80, color=True)
    reports = {"tree": tree(), "unreadable": unreadable(), "mappings": mappings(), "compared": compared()}
    files.update({f"{name}.json": as_json.render(report) for name, report in reports.items()})
    files.update({f"{name}.csv": as_csv.render(view_table(reports[name])) for name in ("tree", "mappings")})
    return files
