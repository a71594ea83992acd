"""Filters and the order of rows."""

from __future__ import annotations

import pytest

from airmem.analysis.select import select_rows
from airmem.model.selection import Selection
from airmem.model.sharing import Sharing
from tests.synthetic import make_account, make_row

ROWS = (
    make_row(30, role="parent", component="scheduler", account=make_account(900, 300, 30), user_id=0),
    make_row(10, account=make_account(800, 500, 5), user_id=50000, process={"arguments": ("Celery: WORKER",)},
             sharing=Sharing(parent_bytes=9, siblings_bytes=1, outside_bytes=0)),
    make_row(20, account=make_account(700), user_id=50000),
)  # fmt: skip


def pids(**fields):
    return [row.process.pid for row in select_rows(ROWS, Selection(**fields))]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [30, 10, 20]),
        ({"role": "worker"}, [10, 20]),
        ({"role": "scheduler"}, [30]),
        ({"role": "work"}, []),
        ({"name": "celery"}, [10]),
        ({"name": "APP.PY"}, [30, 20]),
        ({"name": ""}, [30, 10, 20]),
        ({"name": "(celery|app)"}, []),
        ({"user_id": 0}, [30]),
        ({"user_id": 7}, []),
        ({"least_pss_bytes": 300}, [30, 10]),
        ({"least_pss_bytes": 0}, [30, 10, 20]),
        ({"sort": "pid"}, [10, 20, 30]),
        ({"sort": "pss_bytes"}, [10, 30, 20]),
        ({"sort": "uss_bytes"}, [30, 10, 20]),
        ({"sort": "parent_bytes"}, [10, 30, 20]),
        ({"sort": "swap_bytes"}, [30, 10, 20]),
        ({"sort": "pss_bytes", "top_count": 1}, [10]),
        ({"top_count": 99}, [30, 10, 20]),
        ({"role": "worker", "least_pss_bytes": 1, "user_id": 50000}, [10]),
    ],
)
def test_rows(fields, expected):
    assert pids(**fields) == expected
