"""Verdicts, distributions and differences of captures, from facts made here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airmem.analysis.allocation import merge_timelines, sum_application_frames, sum_distributions, sum_totals
from airmem.analysis.allocation_diff import diff_captures
from airmem.analysis.capture_end import judge_end, python_of
from airmem.analysis.distributions import STANDARD_LIBRARY, Distributions
from airmem.model.allocation import (
    AllocatorSum,
    CaptureFacts,
    CaptureHeader,
    CaptureState,
    Place,
    PlaceSum,
    TimelinePoint,
    ViewSums,
    WriterFacts,
)
from airmem.probes.installed import parse_record
from airmem.services.airflow_parts import component_of

MIB = 1 << 20
SITE = "/opt/venv/lib/python3.12/site-packages"
RECORDS = {
    SITE: {
        "airflow/models/dag.py": "apache-airflow-core",
        "airflow/sdk/api.py": "apache-airflow-task-sdk",
        "airflow/providers/celery/executor.py": "apache-airflow-providers-celery",
        "sqlalchemy/orm/__init__.py": "sqlalchemy",
        "six.py": "six",
    }
}


def state(**changes):
    header = CaptureHeader(
        format_id=13, python_version="3.12", pid=1, has_native_traces=False, is_aggregated=False, allocation_count=9,
        started_at_seconds=100.0, ended_at_seconds=160.0, command_line="",
    )  # fmt: skip
    fields = {name: changes.pop(name) for name in list(changes) if name in header.__slots__}
    facts = CaptureState(
        path="a.bin", size_bytes=8192, header=replace(header, **fields), is_compressed=True, is_whole=True,
        has_trailer=None, obstacle="",
    )  # fmt: skip
    return replace(facts, **changes)


def raw(**changes):
    return state(is_compressed=False, is_whole=None, **{"has_trailer": True, **changes})


def left(**changes):
    return raw(allocation_count=0, ended_at_seconds=100.001, has_trailer=False, **changes)


def facts(causes=(), *, last=159.99, fine=True, seconds=60.0, **changes):
    views = tuple(
        ViewSums(
            view=view,
            total_bytes=sum(one[3] for one in causes),
            stack_count=len(causes),
            functions=(),
            causes=tuple(
                PlaceSum(
                    place=Place(function="f", file=file, line=line),
                    package=package,
                    size_bytes=size,
                    allocation_count=1,
                )
                for file, line, package, size in causes
            ),
            allocators=(AllocatorSum(allocator="mmap", size_bytes=sum(one[3] for one in causes), allocation_count=1),),
        )
        for view in ("peak", "leaked")
    )
    made = CaptureFacts(
        state=state(ended_at_seconds=100.0 + seconds),
        pid=1,
        peak_bytes=sum(one[3] for one in causes),
        traces_python_allocators=fine,
        last_at_seconds=last,
        views=views,
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("changes", "is_child", "verdict"),
    [
        ({}, False, "complete"),
        ({"state": state(is_aggregated=True)}, False, "aggregated"),
        ({"state": state(allocation_count=0, ended_at_seconds=100.001)}, True, "ended_early"),
        ({"state": state(allocation_count=0, ended_at_seconds=100.001)}, False, "killed"),
        ({"last_at_seconds": 150.0}, False, "disk_full"),
        ({"state": state(is_compressed=False, is_whole=None, has_trailer=False)}, False, "disk_full"),
        ({"state": state(is_compressed=False, is_whole=None, has_trailer=False, size_bytes=8191)}, False, "truncated"),
        ({"state": raw(padding_bytes=900)}, False, "complete"),
        ({"state": raw(padding_bytes=0)}, False, "disk_full"),  # chance makes one byte in some a trailer
        ({"state": raw(padding_bytes=0, writer=WriterFacts(was_recording=True))}, False, "complete"),
        ({"state": state(writer=WriterFacts(was_recording=False))}, False, "disk_full"),
        ({"state": state(writer=WriterFacts(could_grow=False))}, False, "disk_full"),
        ({"state": state(writer=WriterFacts(was_recording=True, could_grow=False))}, False, "complete"),
        ({"state": state(writer=WriterFacts(was_recording=True)), "last_at_seconds": 150.0}, False, "complete"),
        ({"complaint": "Memray ERROR: Failed to process frame push"}, False, "disk_full"),
        ({"state": left(padding_bytes=0)}, True, "disk_full"),
        ({"state": left(padding_bytes=0)}, False, "disk_full"),
        ({"state": left(padding_bytes=0, writer=WriterFacts(could_grow=True))}, True, "ended_early"),
        ({"state": left(padding_bytes=9, writer=WriterFacts(could_grow=False))}, True, "disk_full"),
        ({"state": left(padding_bytes=9)}, True, "ended_early"),
        ({"state": left(padding_bytes=900, writer=WriterFacts(could_grow=False))}, False, "killed"),
        ({"state": left(padding_bytes=0, size_bytes=8191)}, False, "killed"),
        ({"state": state(is_whole=False)}, False, "truncated"),
        ({"state": state(is_whole=False), "views": (), "problem": "OSError: no"}, False, "truncated"),
        ({"views": (), "problem": "memray's reader ended by signal 11"}, False, "damaged"),
        ({"views": (), "problem": "OSError: a is incompatible with this version of memray"}, False, "other_version"),
        ({"state": replace(state(), header=None, obstacle="empty"), "views": ()}, False, "no_capture"),
        (
            {"state": state(header=None, obstacle="empty", writer=WriterFacts(was_recording=True)), "views": ()},
            False,
            "disk_full",
        ),
    ],
)
def test_a_verdict_follows_from_what_was_seen(changes, is_child, verdict):
    assert judge_end(facts([("/a.py", 1, "/a.py", 10)], **changes), is_child)[0] == verdict


@pytest.mark.parametrize(
    ("path", "distribution", "kind"),
    [
        (f"{SITE}/airflow/models/dag.py", "apache-airflow-core", "core"),
        (f"{SITE}/airflow/sdk/api.py", "apache-airflow-task-sdk", "task-sdk"),
        (f"{SITE}/airflow/providers/celery/executor.py", "apache-airflow-providers-celery", "provider"),
        (f"{SITE}/airflow/sdk/not_in_the_record.py", "apache-airflow-task-sdk", "task-sdk"),
        (f"{SITE}/sqlalchemy/generated.py", "sqlalchemy", "package"),
        (f"{SITE}/six.py", "six", "package"),
        (f"{SITE}/unknown/a.py", "unknown", "package"),
        ("/elsewhere/site-packages/airflow/providers/http/hooks/http.py", "apache-airflow-providers-http", "provider"),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", "yaml", "package"),
        ("/usr/lib/python3.12/json/decoder.py", STANDARD_LIBRARY, "stdlib"),
        ("<frozen importlib._bootstrap>", STANDARD_LIBRARY, "stdlib"),
        ("", STANDARD_LIBRARY, "stdlib"),
        ("/opt/airflow/dags/team/etl.py", "/opt/airflow/dags", "dag"),
        ("/srv/app/main.py", "/srv/app", "own"),
        ("main.py", ".", "own"),
    ],
)
def test_a_file_belongs_to_a_distribution(path, distribution, kind):
    assert Distributions(RECORDS).of(path) == (distribution, kind)


def test_what_memray_counts_and_has_no_record_for_is_a_line():
    capture = facts([("/a.py", 1, f"{SITE}/six.py", 10)], peak_bytes=13)
    rows = sum_distributions([capture], Distributions(RECORDS))
    assert {one.distribution: one.peak_bytes for one in rows} == {"six": 10, "not in memray's records": 3}
    assert sum(one.peak_bytes for one in rows) == sum_totals([capture], is_lower_bound=False).peak_bytes


def test_small_figures_are_uncertain_in_the_default_mode_only():
    causes = [("/a.py", 1, f"{SITE}/six.py", MIB), ("/a.py", 2, f"{SITE}/sqlalchemy/orm/__init__.py", 9 * MIB)]
    coarse = sum_distributions([facts(causes, fine=False)], Distributions(RECORDS))
    fine = sum_distributions([facts(causes)], Distributions(RECORDS))
    assert {one.distribution: one.is_uncertain for one in coarse} == {"six": True, "sqlalchemy": False}
    assert not any(one.is_uncertain for one in fine)


def test_what_no_line_of_the_application_led_to_stands_under_its_package():
    (row,) = sum_application_frames([facts([("", 0, f"{SITE}/six.py", 10)])], Distributions(RECORDS))
    assert (row.place.file, row.place.line, row.distribution) == (f"{SITE}/six.py", 0, "six")


def test_a_diff_knows_growth_steadiness_and_what_is_too_small():
    before = facts([("/a.py", 1, "", 10 * MIB), ("/a.py", 2, "", 8 * MIB), ("/a.py", 3, "", 1000)], seconds=60.0)
    after = facts(
        [("/a.py", 1, "", 30 * MIB), ("/a.py", 2, "", 8 * MIB + 9), ("/a.py", 3, "", 2000), ("/a.py", 4, "", 3 * MIB)],
        seconds=180.0, last=279.9,
    )  # fmt: skip
    diff = diff_captures([before], [after], Distributions({}))
    assert [(one.place.line, one.verdict) for one in diff.frames] == [
        (1, "grows"),
        (4, "grows"),
        (3, "small"),
        (2, "steady"),
    ]
    assert diff.frames[1].growth_ratio is None
    assert diff.after_bytes - diff.before_bytes == sum(one.change_bytes for one in diff.frames)
    assert diff_captures([after], [before], Distributions({})) == diff


def test_timelines_are_summed_where_they_overlap():
    def line(*pairs):
        return tuple(TimelinePoint(at_seconds=at, heap_bytes=size, rss_bytes=0, process_count=1) for at, size in pairs)

    one = facts(timeline=line((0.0, 1), (1.0, 5), (2.0, 5), (4.0, 5)))
    two = facts(timeline=line((2.0, 7), (3.0, 9)))
    points = merge_timelines([one, two], point_count=5)
    assert [(point.at_seconds, point.heap_bytes, point.process_count) for point in points] == [
        (0.0, 1, 1), (1.333, 5, 1), (2.667, 12, 2), (4.0, 14, 2),
    ]  # fmt: skip


def test_a_record_gives_the_files_of_its_folder():
    text = 'a/b.py,sha256=x,3\n"a,b/c.py",,\n../../bin/tool,,\n/etc/passwd,,\na-1.dist-info/RECORD,,\n'
    assert list(parse_record(text)) == ["a/b.py", "a,b/c.py"]


@pytest.mark.parametrize(
    ("words", "python"),
    [
        ("/opt/venv/lib/python3.12/site-packages/memray/__main__.py run app.py", "/opt/venv/bin/python3"),
        ("/home/airflow/.local/bin/airflow scheduler", "/home/airflow/.local/bin/python3"),
        ("app.py", ""),
    ],
)
def test_a_command_line_may_point_to_its_python(words, python):
    assert python_of(words) == python


@pytest.mark.parametrize(
    ("words", "component"),
    [("/usr/bin/airflow scheduler", "scheduler"), ("airflow dag_processor -v", "dag-processor"), ("airflow -h", ""),
     ("memray run -m airflow api", "api-server"), ("python app.py", "")],
)  # fmt: skip
def test_a_component_is_told_by_its_command_line(words, component):
    assert component_of(words) == component
