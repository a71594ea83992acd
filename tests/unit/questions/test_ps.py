"""The answer of airmem ps, its JSON, CSV and text, on captured trees."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from airmem.collect.source import open_source
from airmem.errors import ProcessGone
from airmem.questions.ps import answer_ps
from airmem.render import as_csv, as_json, as_text
from airmem.units import PAGE_BYTES
from airmem.views.ps import short_title, view_ps, view_table
from tests.unit.services.trees import CAPTURES, process

KEYS = [
    *("service", "component", "role", "pid", "parent_pid", "start_ticks", "depth", "title", "activity"),
    *("children_count", "started_at_seconds", "up_seconds", "rss_bytes", "start_method", "container_id", "state"),
]
HEAD = ["schema_version", "airmem_version", "command", "taken_at_seconds", "took_seconds", "host"]


def answer(name: str, root_pid: int | None = None, with_all: bool = False):
    return answer_ps(root_pid, with_all=with_all, source=open_source(str(CAPTURES / name)))


def test_json_has_the_promised_keys():
    document = json.loads(as_json.render(answer("airflow-3.3.2")))
    assert [*document][:6] == HEAD
    assert document["command"] == "ps"
    assert document["findings"] == []
    assert all([*row] == KEYS for row in document["services"])
    assert document["services"][1]["container_id"] is None


def test_trees_are_in_order_and_count_children():
    rows = answer("airflow-3.3.2-busy").services
    assert [row.depth for row in rows] == [0, 1, 1, 1, 2, 1, 2, 1, 2, 1, 2]
    assert rows[0].children_count == 6
    assert rows[0].rss_bytes == rows[0].process.rss_pages * PAGE_BYTES > 0
    for above, below in pairwise(rows):
        assert below.depth <= above.depth + 1


def test_an_unknown_boot_time_is_a_gap_and_no_number():
    report = answer("gunicorn")
    assert {row.up_seconds for row in report.services} == {None}
    assert [gap.fact for gap in report.gaps] == ["started_at_seconds"]
    assert all(gap.remedy for gap in report.gaps)


def test_one_tree():
    assert {row.component for row in answer("airflow-3.3.2", 9133).services} == {"triggerer"}
    with pytest.raises(ProcessGone):
        answer("airflow-3.3.2", 1)


def test_text_shows_the_tree():
    lines = as_text.render(view_ps(answer("airflow-3.3.2")), 80).splitlines()
    assert max(map(len, lines[:20])) <= 80
    assert any(line.startswith("scheduler ") for line in lines)
    assert any(line.startswith("  health-server ") for line in lines)
    assert any(line.startswith("  worker ") and line.endswith("<idle>") for line in lines)


def test_csv_has_raw_values():
    lines = as_csv.render(view_table(answer("gunicorn"))).splitlines()
    assert set(lines[0].split(",")) == set(KEYS)
    assert len(lines) == 5


def test_no_service_says_what_is_looked_for(tmp_path):
    (tmp_path / "proc").mkdir()
    report = answer_ps(source=open_source(str(tmp_path)))
    assert report.services == ()
    text = as_text.render(view_ps(report))
    assert "No service" in text
    assert "airflow scheduler" in text
    assert as_csv.render(view_table(report)).startswith("service,")


def test_short_titles():
    long = ("/usr/bin/python3", "/opt/x/bin/airflow", "scheduler", "/x")
    assert short_title(process(1, 0, *long)) == "python3 airflow scheduler /x"
    assert short_title(process(1, 0, "airflow serve-logs")) == "airflow serve-logs"
    assert short_title(process(1, 0, "python", "-m", "celery")) == "python -m celery"
    assert short_title(process(1, 0)) == "[python]"
