from __future__ import annotations

import pytest

from airmem.model.service import ServiceRole
from airmem.services.signal_stacks import may_signal

CAUGHT = 0x4806
"""SigCgt of a scheduler in the foreground, as seen: INT, QUIT, USR2, TERM."""


def role(service="airflow", component="scheduler", name="parent"):
    return ServiceRole(service=service, component=component, role=name, start_method="exec")


@pytest.mark.parametrize("one", [role(), role(name="worker"), role(component="triggerer", name="runner")])
def test_those_with_a_handler_may_be_asked(one):
    assert may_signal(one, CAUGHT)


@pytest.mark.parametrize(
    ("one", "mask"),
    [
        (None, CAUGHT),
        (role(), 0x4802),
        (role(), None),
        (role(service="gunicorn", component="gunicorn"), CAUGHT),
        (role(component="celery-worker"), CAUGHT),
        (role(name="task"), CAUGHT),
    ],
)
def test_nobody_else_is_sent_a_signal(one, mask):
    assert not may_signal(one, mask)
